package ns

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// A Guest is a namespace held open together with who it belongs to, and a
// pidfd of its process where it was found by one. Close it when done: until
// then it keeps the namespace alive.
type Guest struct {
	*Handle
	Identity
	pidfd int // 0: none
}

// Alive returns nil while the process that the guest was found by runs, and an
// error that satisfies fs.ErrNotExist once it ended. A guest that was found by
// path or name has no process and is always alive.
func (g *Guest) Alive() error {
	if g.pidfd == 0 {
		return nil
	}
	fds := []unix.PollFd{{Fd: int32(g.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, 0)
	}
	if err != nil {
		return err
	}
	if n > 0 {
		return errs.New(fs.ErrNotExist, "%s: process %d has ended", g.Name, g.PID)
	}
	return nil
}

// Here says whether the guest has the network namespace of the calling thread: as a
// rule, the host's own.
func (g *Guest) Here() (bool, error) {
	here, err := Current()
	if err != nil {
		return false, err
	}
	return here.Inode() == g.Inode(), here.Close()
}

// Close lets the guest's namespace and process go.
func (g *Guest) Close() error {
	err := g.Handle.Close()
	if g.pidfd != 0 {
		err = errs.Join(err, unix.Close(g.pidfd))
	}
	return err
}

// DupPidfd returns a new pidfd of the guest's process, which the caller closes; 0
// for a guest that was found by path or name. It tells of the process's end
// (poll(2)) and keeps nothing of the guest alive.
func (g *Guest) DupPidfd() (int, error) {
	if g.pidfd == 0 {
		return 0, nil
	}
	return unix.FcntlInt(uintptr(g.pidfd), unix.F_DUPFD_CLOEXEC, 3)
}

// Again returns a Target that opens as g, a second time, without looking it up:
// for several things to be done to a guest that is held open. It fails once g
// was closed, and when its process has ended.
func (g *Guest) Again() Target { return again{g} }

type again struct{ *Guest }

// Open opens the same namespace and process once more.
func (a again) Open(ctx context.Context) (*Guest, error) {
	if err := fault.Step(ctx, "open guest again"); err != nil {
		return nil, err
	}
	if err := a.Alive(); err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(a.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	pidfd, err := a.DupPidfd()
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &Guest{Handle: &Handle{fd: fd, id: a.id}, Identity: a.Identity, pidfd: pidfd}, nil
}

// String is the guest's name.
func (a again) String() string { return a.Name }
