package watch

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/keep"
)

// changes hears of records that come and go, by inotify.
type changes struct {
	dir  string
	file *os.File // nil: there are no records
}

// newChanges hears from now on; store is nil where there are no records.
func newChanges(store *keep.Store) (*changes, error) {
	if store == nil {
		return &changes{}, nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", store.Dir(), err)
	}
	if _, err := unix.InotifyAddWatch(fd, store.Dir(), unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch %s: %w", store.Dir(), err)
	}
	return &changes{store.Dir(), os.NewFile(uintptr(fd), "inotify")}, nil
}

// follow calls changed whenever a record has come or gone, until ctx ends.
func (c *changes) follow(ctx context.Context, changed func(context.Context)) error {
	if c.file == nil {
		return nil
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = c.file.Close()
	})
	defer func() {
		if !stop() {
			<-closed
		}
		_ = c.file.Close()
	}()
	for buf := make([]byte, 64<<10); ; {
		if _, err := c.file.Read(buf); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("watch %s: %w", c.dir, err)
		}
		changed(ctx)
	}
}
