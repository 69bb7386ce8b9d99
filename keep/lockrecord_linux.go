package keep

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// lockRecord is the lock of a record where the file of all locks cannot be opened, since
// nothing can be written there: a flock(2) on the record's own file, or for what is no record
// on the directory. A record that is not there cannot be written either: nobody is to be
// waited for.
func (s *Store) lockRecord(ctx context.Context, k key) (unlock func(), err error) {
	name, flags := k.file(), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK
	if k.guest == "" {
		name = "."
	}
	fd, err := unix.Openat(s.fd(), name, flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	return await(ctx, fd, func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
}
