package watch

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// A deaths hears of the ends of processes: one epoll instance with their pidfds. It
// is pollable itself, so that Go's own poller waits for it, and no thread does.
type deaths struct {
	file *os.File
	mu   sync.Mutex
	last int32
	of   map[int32]ref // by the number that epoll gives back
}

// A life is one process that is watched.
type life struct {
	deaths *deaths
	number int32
	pidfd  int // -1: none
}

func newDeaths() (*deaths, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch guests: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the File uses the poller
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch guests: %w", err)
	}
	return &deaths{file: os.NewFile(uintptr(fd), "epoll"), of: map[int32]ref{}}, nil
}

// close ends wait.
func (d *deaths) close() { _ = d.file.Close() }

// watch begins to watch g's process, if it was found by one.
func (d *deaths) watch(g *ns.Guest, k ref) (*life, error) {
	fd, err := g.DupPidfd()
	if err != nil {
		return nil, err
	}
	if fd == 0 {
		return &life{deaths: d, pidfd: -1}, nil
	}
	d.mu.Lock()
	d.last++
	l := &life{deaths: d, number: d.last, pidfd: fd}
	d.of[l.number] = k
	d.mu.Unlock()
	if err := d.add(l); err != nil {
		l.close()
		return nil, fmt.Errorf("watch guest %s: %w", g.Name, err)
	}
	return l, nil
}

func (d *deaths) add(l *life) error {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: l.number}
	if failed := raw.Control(func(fd uintptr) { err = unix.EpollCtl(int(fd), unix.EPOLL_CTL_ADD, l.pidfd, &ev) }); failed != nil {
		return failed
	}
	return err
}

// wait waits until processes have ended, and returns whose; false when closed.
func (d *deaths) wait() (dead []ref, ok bool) {
	raw, err := d.file.SyscallConn()
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
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, ev := range events[:max(0, n)] {
		if k, known := d.of[ev.Fd]; known {
			dead = append(dead, k)
		}
	}
	return dead, true
}

// heard says whether there is a process whose end will be heard of.
func (l *life) heard() bool { return l.pidfd >= 0 }

// over says whether the process has ended.
func (l *life) over() bool {
	if l.pidfd < 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(l.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// close forgets the process.
func (l *life) close() {
	l.deaths.mu.Lock()
	delete(l.deaths.of, l.number)
	l.deaths.mu.Unlock()
	if l.pidfd >= 0 {
		_ = unix.Close(l.pidfd)
		l.pidfd = -1
	}
}

// bury has guests looked at whose process has ended, and what they left behind
// collected.
func (r *run) bury() error {
	for {
		dead, ok := r.deaths.wait()
		if !ok {
			return nil
		}
		for _, k := range dead {
			r.metrics.add("deaths_total")
			r.wake(k)
		}
		r.collectSoon()
	}
}
