package ns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// A Handle is a network namespace held open. While it is open the namespace
// lives on, and with it every interface inside, even when all of its processes
// have ended: close it soon. Its methods but
// Close may be called from several goroutines at once.
type Handle struct {
	fd int
	id Inode
	// back says that a thread that leaves this namespace for another is let back
	// in: see [Here].
	back bool
}

// Current holds open the namespace of the calling thread: the process's own,
// unless the caller locked its goroutine to a thread and moved that.
func Current() (*Handle, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open this thread's network namespace: %w", err)
	}
	return newHandle(fd)
}

// openFile opens the file at path, which must be a network namespace.
func openFile(path string) (*Handle, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		_ = unix.Close(fd)
		return nil, errs.New(fs.ErrInvalid, "%s is no network namespace", path)
	}
	return newHandle(fd)
}

// newHandle takes over fd, a network namespace, also when it fails.
func newHandle(fd int) (*Handle, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("look at a network namespace: %w", err)
	}
	return &Handle{fd: fd, id: Inode{Dev: st.Dev, Ino: st.Ino}}, nil
}

// Inode tells this namespace from others that are held open.
func (h *Handle) Inode() Inode { return h.id }

// Close lets the namespace go. Every later use fails.
func (h *Handle) Close() error {
	fd := h.fd
	h.fd = -1
	return unix.Close(fd)
}

// NetNS is the namespace as github.com/vishvananda/netns and netlink take it.
// It is valid until Close.
func (h *Handle) NetNS() netns.NsHandle { return netns.NsHandle(h.fd) }

// Do calls f on a thread inside the namespace and waits for it. What f opens
// (sockets, files under /proc/sys/net) belongs to this namespace and may be
// used from any thread afterwards. f must not start goroutines that rely on the
// namespace, nor keep running when ctx ends. The caller's own goroutine and
// thread stay where they are. Needs CAP_SYS_ADMIN in the namespace's owning
// user namespace and in the caller's own; without it the error satisfies
// [fs.ErrPermission].
func (h *Handle) Do(ctx context.Context, f func() error) error {
	if err := fault.Step(ctx, "enter namespace"); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the function called in a network namespace did not return") // but runtime.Goexit
		defer func() { done <- err }()
		err = h.enter(f)
	}()
	return <-done
}

// visit runs f inside the namespace on the calling goroutine's thread, which is in
// the namespace home. Being allowed back is asked for before leaving, where it is
// not known: there is no way to go on without.
func (h *Handle) visit(home *Handle, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if !home.back {
		if err := netns.Set(home.NetNS()); err != nil {
			return enterError(err)
		}
	}
	if err := netns.Set(h.NetNS()); err != nil {
		return enterError(err)
	}
	defer func() {
		if err := netns.Set(home.NetNS()); err != nil {
			panic("pipework: cannot return to the thread's own network namespace: " + err.Error())
		}
	}()
	return f()
}

// enter runs f inside the namespace on the calling goroutine's thread. The
// thread is unlocked only once it is back; otherwise it ends with the goroutine.
func (h *Handle) enter(f func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open this thread's network namespace: %w", err)
	}
	defer func() {
		if netns.Set(netns.NsHandle(home)) == nil {
			runtime.UnlockOSThread()
		}
		_ = unix.Close(home)
	}()
	if err := netns.Set(h.NetNS()); err != nil {
		return enterError(err)
	}
	return f()
}

func enterError(err error) error {
	if errors.Is(err, unix.EPERM) {
		return errs.New(fs.ErrPermission, "enter network namespace: needs CAP_SYS_ADMIN (run as root)")
	}
	return fmt.Errorf("enter network namespace: %w", err)
}

// Conn opens a route-netlink connection inside the namespace.
func (h *Handle) Conn(ctx context.Context) (*Conn, error) {
	var c *Conn
	err := h.Do(ctx, func() (err error) {
		c, err = Dial(ctx)
		return err
	})
	return c, err
}

// Netlink opens a handle of the netlink library inside the namespace, for what
// [Conn] does not cover. The caller closes it, and must not use it afterwards:
// a closed handle works silently in the calling thread's namespace.
func (h *Handle) Netlink(ctx context.Context) (*netlink.Handle, error) {
	var n *netlink.Handle
	err := h.Do(ctx, func() (err error) {
		n, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	return n, err
}
