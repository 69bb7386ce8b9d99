package dhcp

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// A watch hears of the end of processes: one epoll instance with their pidfds. It
// is pollable itself, so that Go's own poller waits for it, and no thread does.
type watch struct{ file *os.File }

func newWatch() (*watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch guests: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the File uses the poller
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch guests: %w", err)
	}
	return &watch{os.NewFile(uintptr(fd), "epoll")}, nil
}

// close ends wait.
func (w *watch) close() { _ = w.file.Close() }

// add begins to watch e's process.
func (w *watch) add(e *entry) error {
	if e.pidfd == 0 {
		return nil
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(e.pidfd)}
	if failed := raw.Control(func(fd uintptr) { err = unix.EpollCtl(int(fd), unix.EPOLL_CTL_ADD, e.pidfd, &ev) }); failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("watch guest %s: %w", e.guest.Name, err)
	}
	return nil
}

// wait waits until processes have ended, and returns their pidfds, some of which
// may have been closed since; nil when the watch was closed.
func (w *watch) wait() (pidfds []int) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return nil
	}
	events := make([]unix.EpollEvent, 64)
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.EpollWait(int(fd), events, 0)
		for _, ev := range events[:max(0, n)] {
			pidfds = append(pidfds, int(ev.Fd))
		}
		return n != 0 && err != unix.EINTR
	})
	if err != nil {
		return nil
	}
	return pidfds
}

// dead says why e's guest is no more; nil while its process runs.
func (e *entry) dead() error {
	if e.pidfd == 0 {
		return nil
	}
	fds := []unix.PollFd{{Fd: int32(e.pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n < 1 || err != nil {
		return nil
	}
	return errs.New(fs.ErrNotExist, "%s: process %d has ended", e.guest.Name, e.guest.PID)
}

// forget closes e's pidfd, which takes it out of the watch.
func (e *entry) forget() {
	if e.pidfd != 0 {
		_ = unix.Close(e.pidfd)
		e.pidfd = 0
	}
}
