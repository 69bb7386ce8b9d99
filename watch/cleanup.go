package watch

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// cleanupDelay is between a death and the cleanup of what it left.
const cleanupDelay = 2 * time.Second

// A cleanup takes away what dead guests and killed calls left: on the host, and records.
type cleanup struct {
	plugger   *keep.Plugger
	sources   []ns.Source
	requested chan struct{} // of capacity 1
	metrics   *metrics
	log       logger
	ports     sync.WaitGroup

	mu    sync.Mutex
	prune bool // containers were removed, whose records are to go
}

// request asks for a cleanup soon.
func (c *cleanup) request() {
	select {
	case c.requested <- struct{}{}:
	default:
	}
}

// requestPrune asks for a cleanup soon, also of the records of containers that are no
// more.
func (c *cleanup) requestPrune() {
	c.mu.Lock()
	c.prune = true
	c.mu.Unlock()
	c.request()
}

// run cleans up whenever it is asked to. Many guests that die together, or restart, cost
// one cleanup.
func (c *cleanup) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.requested:
		}
		if pause.For(ctx, cleanupDelay) != nil {
			return nil
		}
		select {
		case <-c.requested:
		default:
		}
		c.collect(ctx)
		c.mu.Lock()
		prune := c.prune
		c.prune = false
		c.mu.Unlock()
		if prune {
			c.pruneRecords(ctx)
		}
	}
}

// wait waits for who removes ports. No guest is reconciled any more.
func (c *cleanup) wait() { c.ports.Wait() }

// collect takes away orphans, and what killed calls left.
func (c *cleanup) collect(ctx context.Context) {
	p := *c.plugger
	p.Log = c.log.Logger
	all, err := p.Collect(ctx)
	c.tell(ctx, all, err)
}

// collectNICs brings back a NIC whose guest has just died.
func (c *cleanup) collectNICs(ctx context.Context) {
	a := c.plugger.Attacher
	a.Collectors = nil   // which take their time
	a.Log = c.log.Logger // which tells of what is left alone
	all, err := a.Collect(ctx)
	c.tell(ctx, all, err)
}

func (c *cleanup) tell(ctx context.Context, all []link.Collected, err error) {
	for _, what := range all {
		c.metrics.add("collected_total")
		c.log.info("collected", "what", what.String())
	}
	if err != nil {
		c.log.warn(ctx, "collect", "error", err)
	}
}

// reapPorts has the ports of a guest that has died leave their switch before the
// guest comes back: they would draw its frames for a second.
func (c *cleanup) reapPorts(ctx context.Context, g *guest) {
	for _, a := range g.attached {
		if b, is := a.spec.Link.(link.Reaper); is {
			c.ports.Go(func() { c.reapPort(ctx, b, a) })
		}
	}
}

// reapPort waits until the kernel is done with the guest, a second at most. What
// takes longer is left to a cleanup.
func (c *cleanup) reapPort(ctx context.Context, b link.Reaper, a *attachment) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	port := &link.Port{Name: a.spec.Name, Mark: link.Mark{Link: a.spec.Link.String(), Interface: a.spec.Name, Guest: a.made.Guest}}
	err := onhost.Do(ctx, c.plugger.Host, func(h link.Host) error {
		port.Host = h
		for {
			reaped, err := b.Reap(ctx, port)
			if reaped || err != nil || pause.For(ctx, 20*time.Millisecond) != nil {
				return err
			}
		}
	})
	if err != nil {
		c.log.warn(ctx, "collect", "error", err)
	}
}

// pruneRecords removes the records of what containers declared that are no more.
func (c *cleanup) pruneRecords(ctx context.Context) {
	store := c.plugger.Store
	if store == nil {
		return
	}
	all, _, err := store.All()
	for _, rec := range all {
		if rec.Source == keep.FromCommand || c.mayExist(ctx, &rec) {
			continue
		}
		err = errs.Join(err, store.Delete(rec.Guest, rec.Interface))
	}
	if err != nil {
		c.log.warn(ctx, "state", "error", err)
	}
}

// mayExist says whether the record's container may be there, running or not. Of
// one whose engine does not answer, or is not asked any more, that is not known.
func (c *cleanup) mayExist(ctx context.Context, rec *keep.Record) bool {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	sources := sourcesOf(c.sources, rec.Guest)
	for _, s := range sources {
		if _, err := s.Describe(ctx, rec.Guest.ID); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return len(sources) == 0
}
