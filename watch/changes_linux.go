package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
)

// changes hears of records that come and go, by inotify. The instances of inotify are
// counted by user, and a container whose root is the machine's can use them up: then the
// directory is looked at now and then.
type changes struct {
	dir  string   // "": there are no records
	file *os.File // nil: there is no inotify
	lack error    // why not
}

// newChanges hears from now on; store is nil where there are no records.
func newChanges(store *keep.Store) *changes {
	if store == nil {
		return &changes{}
	}
	c := &changes{dir: store.Dir()}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		if _, err = unix.InotifyAddWatch(fd, c.dir, unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		c.lack = fmt.Errorf("inotify: %w%s: changes of records in %s are seen within %v", err, remedy(err), c.dir, lookInterval)
		return c
	}
	c.file = os.NewFile(uintptr(fd), "inotify")
	return c
}

// remedy says what to do about an error of inotify's: it has limits of its own (inotify(7)).
func remedy(err error) string {
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOSPC) {
		return " (see sysctl fs.inotify)"
	}
	return ""
}

// follow calls changed whenever a record has come or gone, until ctx ends.
func (c *changes) follow(ctx context.Context, changed func(context.Context)) error {
	switch {
	case c.dir == "":
		return nil
	case c.file == nil:
		return c.look(ctx, changed)
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

// lookInterval is how often the directory is looked at where there is no inotify.
const lookInterval = time.Second

// look is follow by the directory's time of modification, which every record that comes or
// goes changes. A directory that changed just now may change again within the same tick of
// the clock; one whose time is in the future, because the clock went back, is compared alone.
func (c *changes) look(ctx context.Context, changed func(context.Context)) error {
	var seen time.Time
	for pause.For(ctx, lookInterval) == nil {
		info, err := os.Stat(c.dir)
		if err != nil {
			continue // it may come back: the records are read by the directory that is open
		}
		at := info.ModTime()
		if age := time.Since(at); !at.Equal(seen) || 0 <= age && age < 2*lookInterval {
			seen = at
			changed(ctx)
		}
	}
	return nil
}
