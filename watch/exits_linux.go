package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// An exits hears of the ends of processes: one epoll instance with their pidfds. It
// is pollable itself, so that Go's own poller waits for it, and no thread does.
type exits struct {
	file *os.File
	mu   sync.Mutex
	last int32
	of   map[int32]ref // by the number that epoll gives back
}

// A process is one whose end is heard of.
type process struct {
	exits  *exits
	number int32
	pidfd  int         // -1: none
	guest  ns.Identity // whose process it is
}

func newExits() (*exits, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch guests: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the File uses the poller
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch guests: %w", err)
	}
	return &exits{file: os.NewFile(uintptr(fd), "epoll"), of: map[int32]ref{}}, nil
}

// close ends wait.
func (e *exits) close() { _ = e.file.Close() }

// watch begins to watch g's process, if it was found by one.
func (e *exits) watch(g *ns.Guest, k ref) (*process, error) {
	fd, err := g.DupPidfd()
	if err != nil {
		return nil, err
	}
	if fd == 0 {
		return &process{exits: e, pidfd: -1}, nil
	}
	e.mu.Lock()
	e.last++
	p := &process{exits: e, number: e.last, pidfd: fd, guest: g.Identity}
	e.of[p.number] = k
	e.mu.Unlock()
	if err := e.add(p); err != nil {
		p.close()
		return nil, fmt.Errorf("watch guest %s: %w", g.Name, err)
	}
	return p, nil
}

func (e *exits) add(p *process) error {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: p.number}
	if failed := raw.Control(func(fd uintptr) { err = unix.EpollCtl(int(fd), unix.EPOLL_CTL_ADD, p.pidfd, &ev) }); failed != nil {
		return failed
	}
	return err
}

// wait waits until processes have ended, and returns whose; false when closed.
func (e *exits) wait() (ended []ref, ok bool) {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return nil, false
	}
	events := make([]unix.EpollEvent, 64)
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		n, err = unix.EpollWait(int(fd), events, 0)
		return n != 0 && !errors.Is(err, unix.EINTR)
	})
	if err != nil {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range events[:max(0, n)] {
		if k, known := e.of[ev.Fd]; known {
			ended = append(ended, k)
		}
	}
	return ended, true
}

// known says whether there is a process whose end will be heard of.
func (p *process) known() bool { return p.pidfd >= 0 }

// ended says whether the process has ended.
func (p *process) ended() bool {
	if p.pidfd < 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// Open opens the guest by its process's number, which no other has while it has not ended.
func (p *process) Open(ctx context.Context) (*ns.Guest, error) {
	g, err := ns.PID(p.guest.PID).Open(ctx)
	if err != nil {
		return nil, err
	}
	if p.ended() {
		_ = g.Close()
		return nil, errs.New(fs.ErrNotExist, "%s: process %d has ended", p.guest.Name, p.guest.PID)
	}
	g.Identity = p.guest
	return g, nil
}

// close forgets the process.
func (p *process) close() {
	p.exits.mu.Lock()
	delete(p.exits.of, p.number)
	p.exits.mu.Unlock()
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
		p.pidfd = -1
	}
}
