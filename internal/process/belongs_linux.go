package process

import (
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Belongs tells whether a network namespace is that of a user namespace which the
// user made, or of one in it; see ioctl_ns(2). Everything belongs to root.
func Belongs(g *ns.Guest, uid int) bool {
	if uid == 0 {
		return true
	}
	fd, err := unix.IoctlRetInt(int(g.NetNS()), unix.NS_GET_USERNS)
	for err == nil {
		owner, ownerErr := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
		parent, parentErr := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		_ = unix.Close(fd)
		if ownerErr == nil && int(owner) == uid {
			if parentErr == nil {
				_ = unix.Close(parent)
			}
			return true
		}
		fd, err = parent, parentErr
	}
	return false
}
