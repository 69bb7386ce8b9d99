package keep

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// lockFile has no content. What is locked is a byte of it: byte 0 by those who
// write (shared) or clear away what nobody wrote (alone), and for each record one
// that its key's hash picks. The locks belong to the open file (F_OFD_SETLK), so
// that goroutines exclude each other, too, and end with the process.
const lockFile = ".lock"

// dirByte is the byte of the directory as a whole.
const dirByte = 0

func (k key) byte() int64 {
	sum := k.sum()
	return int64(binary.BigEndian.Uint64(sum[:8])%(math.MaxInt64-1)) + 1
}

func (s *Store) lock(ctx context.Context, k key) (unlock func(), err error) {
	unlock, err = s.lockByte(ctx, k.byte(), unix.F_WRLCK)
	if errs.IsUnwritable(err) {
		unlock, err = s.lockRecord(ctx, k)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the record of %s of %s: %w", k.iface, k.guest, err)
	}
	return unlock, nil
}

// lockTime bounds the wait for others who write or clear away.
const lockTime = 10 * time.Second

// lockDir takes the directory's lock of this kind. Where nothing can be written it is
// nobody's.
func (d *dirHandle) lockDir(kind int16) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockTime)
	defer cancel()
	unlock, err = d.lockByte(ctx, dirByte, kind)
	if errs.IsUnwritable(err) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.dir, err)
	}
	return unlock, nil
}

func (d *dirHandle) lockByte(ctx context.Context, at int64, kind int16) (unlock func(), err error) {
	d.mark()
	fd, err := unix.Openat(d.fd(), lockFile, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	want := unix.Flock_t{Type: kind, Start: at, Len: 1}
	return await(ctx, fd, func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &want) })
}

// await takes a lock on an open file, with which it ends.
func await(ctx context.Context, fd int, take func() error) (unlock func(), err error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := take()
		if err == nil {
			return func() { _ = unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			_ = unix.Close(fd)
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = unix.Close(fd)
			return nil, fmt.Errorf("another process is at it: %w", context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}
