package keep

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// followStore has a look at the guests whenever a record comes or goes, so that
// what is typed is kept from then on.
func (r *run) followStore() error {
	if r.Store == nil {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", r.Store.Dir(), err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	stop := make(chan struct{})
	defer func() { <-stop }()
	go func() {
		<-r.ctx.Done()
		_ = f.Close()
		close(stop)
	}()
	if _, err := unix.InotifyAddWatch(fd, r.Store.Dir(), unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
		return fmt.Errorf("watch %s: %w", r.Store.Dir(), err)
	}
	for buf := make([]byte, 64<<10); ; {
		if _, err := f.Read(buf); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("watch %s: %w", r.Store.Dir(), err)
		}
		r.wakeRecords()
	}
}
