package watch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// changes hears of records that come and go from now on; nil where there are none.
func (r *run) changes() (*os.File, error) {
	if r.Store == nil {
		return nil, nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", r.Store.Dir(), err)
	}
	if _, err := unix.InotifyAddWatch(fd, r.Store.Dir(), unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch %s: %w", r.Store.Dir(), err)
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}

// followStore has a look at the guests whenever a record comes or goes, so that
// what is typed is kept from then on.
func (r *run) followStore(changes *os.File) error {
	if changes == nil {
		return nil
	}
	stop := make(chan struct{})
	defer func() { <-stop }()
	go func() {
		<-r.ctx.Done()
		_ = changes.Close()
		close(stop)
	}()
	for buf := make([]byte, 64<<10); ; {
		if _, err := changes.Read(buf); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("watch %s: %w", r.Store.Dir(), err)
		}
		r.wakeRecords()
	}
}
