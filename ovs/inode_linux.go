package ovs

import (
	"os"
	"syscall"

	"github.com/go-pipework/pipework/ns"
)

// inode tells which namespace a file is. A process that ended in between is
// fs.ErrNotExist.
func inode(path string) (ns.Inode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return ns.Inode{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return ns.Inode{Dev: st.Dev, Ino: st.Ino}, nil
}
