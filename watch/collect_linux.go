package watch

import (
	"context"
	"time"

	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// collectSoon asks for a collection, once things have settled.
func (r *run) collectSoon() {
	select {
	case r.swept <- struct{}{}:
	default:
	}
}

// collectRemoved asks for a collection, also of the records of containers that are
// no more.
func (r *run) collectRemoved() {
	r.mu.Lock()
	r.removed = true
	r.mu.Unlock()
	r.collectSoon()
}

// sweeps collects what dead guests left behind. Many who die together, or restart,
// cost one collection.
func (r *run) sweeps() error {
	for {
		select {
		case <-r.ctx.Done():
			return nil
		case <-r.swept:
		}
		if pause.For(r.ctx, settleTime) != nil {
			return nil
		}
		select {
		case <-r.swept:
		default:
		}
		r.collect(r.ctx)
		r.mu.Lock()
		removed := r.removed
		r.removed = false
		r.mu.Unlock()
		if removed {
			r.prune()
		}
	}
}

// collectNow brings back a NIC whose guest has just died.
func (r *run) collectNow(ctx context.Context) {
	a := r.Attacher
	a.Log = r.Log // of what is left alone it tells nobody else
	names, err := a.Collect(ctx)
	r.collected(names, err)
}

// collect takes away what belongs to nobody, and what killed calls left.
func (r *run) collect(ctx context.Context) {
	tool := r.tool
	tool.Log = r.Log
	lines, err := tool.Collect(ctx)
	r.collected(lines, err)
}

func (r *run) collected(lines []string, err error) {
	for _, line := range lines {
		r.metrics.add("collected_total")
		r.info("collected", "what", line)
	}
	if err != nil {
		r.warn("collect", "error", err)
	}
}

// buryPorts has the ports of a guest that has died leave Open vSwitch before the
// guest comes back: they would draw its frames for a second.
func (r *run) buryPorts(g *guest) {
	for _, p := range g.plugged {
		if b, is := p.spec.Link.(ovs.Bridge); is {
			r.jobs.Go(func() { r.buryPort(b, p) })
		}
	}
}

// buryPort waits until the kernel is done with the guest, a second at most. What
// takes longer is left to a collection.
func (r *run) buryPort(b ovs.Bridge, p *plug) {
	ctx, cancel := context.WithTimeout(r.ctx, time.Second)
	defer cancel()
	port := &link.Port{Name: p.spec.Name, Mark: link.Mark{Link: b.String(), Interface: p.spec.Name, Guest: p.made.Guest}}
	err := onhost.Do(ctx, r.Host, func(h link.Host) error {
		port.Host = h
		for {
			buried, err := b.Bury(ctx, port)
			if buried || err != nil || pause.For(ctx, 20*time.Millisecond) != nil {
				return err
			}
		}
	})
	if err != nil {
		r.warn("collect", "error", err)
	}
}
