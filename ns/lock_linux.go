package ns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// Root's locks are bytes of one file that only root can open, one byte for each
// namespace: the byte at the namespace's inode number. Nobody else can hold one, so a
// guest, or another user of the machine, keeps nobody waiting. The file has no content;
// the locks belong to the open file (F_OFD_SETLK) and end with the process.
//
// Without root, or where /run cannot be written, a lock is a flock(2) on the namespace's
// own file, which everybody who can open that file can hold.
const lockFile = "/run/pipework.lock"

// Lock takes the namespace's lock, which root's processes on the machine share, or
// those of one user, and waits for it until ctx ends, or for the time wait: then the
// error satisfies context.DeadlineExceeded. Root's locks are in the file
// /run/pipework.lock: a container in which pipework runs needs the host's. The lock
// ends with the process.
func (h *Handle) Lock(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	return h.lock(ctx, unix.F_WRLCK, wait)
}

// RLock is [Handle.Lock] shared with other holders of RLock.
func (h *Handle) RLock(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	return h.lock(ctx, unix.F_RDLCK, wait)
}

// lock opens the file itself: a lock belongs to the open file description, and
// h may be shared by goroutines that must exclude each other.
func (h *Handle) lock(ctx context.Context, kind int16, wait time.Duration) (unlock func(), err error) {
	if err := fault.Step(ctx, "lock namespace"); err != nil {
		return nil, err
	}
	fd, err := openLocks()
	take := func() error {
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: int64(h.Inode().Ino), Len: 1})
	}
	common := isNotRoots(err)
	if common {
		fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(h.fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		take = func() error { return unix.Flock(fd, flockOf(kind)|unix.LOCK_NB) }
	}
	if err == nil {
		err = await(ctx, wait, take)
	}
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		if common {
			err = errs.New(errs.ErrCommonLock, "%w", err)
		}
		return nil, err
	}
	return func() { _ = unix.Close(fd) }, nil
}

func flockOf(kind int16) int {
	if kind == unix.F_RDLCK {
		return unix.LOCK_SH
	}
	return unix.LOCK_EX
}

// isNotRoots says that there are no locks of root's for this process: what else keeps it from
// opening their file does not mean that others do not hold them.
func isNotRoots(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errs.IsUnwritable(err) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EISDIR)
}

// openLocks opens root's file, and fails unless nobody else can.
func openLocks() (fd int, err error) {
	if unix.Geteuid() != 0 {
		return -1, unix.EPERM
	}
	fd, err = unix.Open(lockFile, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (st.Uid != 0 || st.Mode&0o077 != 0) {
		err = unix.EACCES
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// await takes a lock, and makes a timer only when it has to wait.
func await(ctx context.Context, wait time.Duration, take func() error) error {
	var end time.Time
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := take()
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock network namespace: %w", err)
		}
		if end.IsZero() {
			end = time.Now().Add(wait)
		}
		if time.Now().After(end) {
			return fmt.Errorf("another process is busy in this network namespace: %w", context.DeadlineExceeded)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process is busy in this network namespace: %w", context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}
