package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// makeRoom makes a network namespace that is found, and lives, by the file. One that is there
// already is taken.
func makeRoom(path string) error {
	if g, err := ns.Path(path).Open(context.Background()); err == nil {
		return g.Close()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o400)
	if err != nil {
		return err
	}
	_ = f.Close()
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			made <- fmt.Errorf("mount a network namespace on %s: %w", path, err)
			return
		}
		made <- nil
	}()
	if err := <-made; err != nil {
		_ = os.Remove(path)
		return err
	}
	return nil
}

// removeRoom ends a namespace that makeRoom made; nil where there is none.
func removeRoom(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// toHost moves the interface from its room to where Docker fetches it.
func (d rooms) toHost(ctx context.Context, e *endpoint) error {
	return onhost.Do(ctx, d.Attacher.Host, func(h link.Host) error {
		g, err := d.roomTarget(e).Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = g.Close() }()
		return move(ctx, g.Handle, h.Handle, e.src())
	})
}

// waits says whether the interface waits on the host.
func (d rooms) waits(ctx context.Context, e *endpoint) (is bool, err error) {
	err = onhost.Do(ctx, d.Attacher.Host, func(h link.Host) error {
		l, err := rtnl.LinkByName(ctx, h.Conn, e.src())
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		is = err == nil && isOurs(l)
		return err
	})
	return is, err
}

// isOurs says whether the link, which is called as one that waits for Docker, is one.
func isOurs(l *rtnl.Link) bool {
	m, ours := link.ParseMark(l.Alias)
	return ours && ns.ParseRef(m.Guest.Name).Kind == ns.DockerNetwork
}

// fromHost moves the interface back into its room, and returns its name there: one that waited
// for Docker, or that Docker moved back from the container. Where there is none, the error
// satisfies fs.ErrNotExist.
func (d rooms) fromHost(ctx context.Context, e *endpoint) (name string, err error) {
	err = onhost.Do(ctx, d.Attacher.Host, func(h link.Host) error {
		l, err := rtnl.LinkByName(ctx, h.Conn, e.src())
		if err != nil {
			return err
		}
		if !isOurs(l) {
			return fmt.Errorf("%s on the host is not what waits for Docker: leaving it alone", e.src())
		}
		if err := makeRoom(d.room(e)); err != nil {
			return err
		}
		g, err := d.roomTarget(e).Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = g.Close() }()
		m, _ := link.ParseMark(l.Alias)
		name = m.Interface
		return rtnl.Move(ctx, h.Conn, l.Index, rtnl.Place{Namespace: g.Handle, Name: name})
	})
	return name, err
}

func move(ctx context.Context, from, to *ns.Handle, name string) error {
	conn, err := from.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	index, err := conn.Index(ctx, name)
	if err != nil {
		return err
	}
	return rtnl.Move(ctx, conn, index, rtnl.Place{Namespace: to, Name: name})
}
