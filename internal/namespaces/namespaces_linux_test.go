package namespaces_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/namespaces"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// TestAll finds a namespace that one thread alone is in, or holds open among files of its own.
func TestAll(t *testing.T) {
	for name, hide := range map[string]func() (inode uint64, err error){
		"entered": newNamespace,
		"held open": func() (uint64, error) {
			home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return 0, err
			}
			if err := unix.Unshare(unix.CLONE_FILES); err != nil {
				return 0, err
			}
			inode, err := newNamespace()
			if err != nil {
				return 0, err
			}
			if _, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return 0, err
			}
			return inode, unix.Setns(home, unix.CLONE_NEWNET)
		},
	} {
		t.Run(name, func(t *testing.T) {
			hidden, found, ended := make(chan uint64), make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				runtime.LockOSThread() // and never unlocked: the thread ends
				inode, err := hide()
				if err != nil {
					t.Error(err)
				}
				hidden <- inode
				<-found
			}()
			if inode := <-hidden; !has(t, inode) {
				t.Errorf("net:[%d] is not found", inode)
			}
			close(found)
			<-ended
		})
	}
}

func newNamespace() (inode uint64, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return 0, err
	}
	var st unix.Stat_t
	err = unix.Stat("/proc/thread-self/ns/net", &st)
	return st.Ino, err
}

func has(t *testing.T, inode uint64) bool {
	for target := range namespaces.All() {
		g, err := target.Open(t.Context())
		if err != nil {
			continue // it ended
		}
		is := g.Inode() == (ns.Inode{Dev: g.Inode().Dev, Ino: inode})
		_ = g.Close()
		if is {
			return true
		}
	}
	return false
}
