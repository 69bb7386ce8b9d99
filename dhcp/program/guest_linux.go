package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
)

// A guest is one whose end is heard of.
type guest struct {
	*ns.Guest
	target pipework.Target // of a guest without a process: what its name is looked up by
	dead   chan struct{}   // closed when it is no more
	stop   func()
}

func openGuest(ctx context.Context, t pipework.Target) (*guest, error) {
	opened, err := t.Open(ctx)
	if err != nil {
		return nil, err
	}
	g := &guest{Guest: opened, target: t, dead: make(chan struct{})}
	if err := g.watch(ctx); err != nil {
		_ = opened.Close()
		return nil, err
	}
	return g, nil
}

func (g *guest) close() {
	g.stop()
	_ = g.Close()
}

// watch begins to wait for the end of the guest's process, or of its name.
func (g *guest) watch(ctx context.Context) error {
	fd, err := g.DupPidfd()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	g.stop = func() { cancel(); <-ended }
	if fd == 0 {
		go func() { defer close(ended); g.watchName(ctx) }()
		return nil
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the File uses Go's poller
		_ = unix.Close(fd)
		return fmt.Errorf("watch guest %s: %w", g.Name, err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	g.stop = func() { _ = file.Close(); <-ended }
	go func() {
		defer close(ended)
		if raw, err := file.SyscallConn(); err == nil && raw.Read(func(uintptr) bool { return g.Alive() != nil }) == nil {
			close(g.dead)
		}
	}()
	return nil
}

// nameInterval is how often a guest without a process is looked for.
const nameInterval = 2 * time.Second

// watchName waits until the guest's name leads nowhere any more, or elsewhere.
func (g *guest) watchName(ctx context.Context) {
	tick := time.NewTicker(nameInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := g.target.Open(ctx)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || err == nil && now.Inode() != g.Inode() {
			close(g.dead)
		}
		if err == nil {
			_ = now.Close()
		}
		select {
		case <-g.dead:
			return
		default:
		}
	}
}
