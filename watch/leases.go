package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
)

// leases keeps the leases of what is attached, by itself or by DHCP client programs. The
// contexts that its methods are given are those of the whole run.
type leases struct {
	plugger *keep.Plugger
	lost    func(ctx context.Context, guest ref, iface string) // a lease ended, or a program
	metrics *metrics
	log     logger

	keeper   dhcp.Keeper
	programs sync.WaitGroup
}

// run keeps leases until ctx ends.
func (l *leases) run(ctx context.Context) error { return l.keeper.Run(ctx) }

// wait waits for who waits for programs.
func (l *leases) wait() { l.programs.Wait() }

// withLeases is what Check found, without leases whose addresses are gone: how long they
// hold is known by the address alone.
func withLeases(at *pipework.Attachment) *pipework.Attachment {
	if at.Lease != nil && !slices.Contains(at.Addrs, at.Lease.Addr) {
		at.Lease = nil
	}
	if at.Lease6 != nil && !slices.Contains(at.Addrs, at.Lease6.Addr) {
		at.Lease6 = nil
	}
	return at
}

// keep has the attachment's leases kept, as far as it has any.
func (l *leases) keep(ctx context.Context, t pipework.Target, a *attachment) error {
	adding, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	var ends []func()
	unkeep := func() {
		for _, end := range ends {
			end()
		}
	}
	for _, kept := range l.plugger.Kept(t, a.spec, a.made) {
		kept.Event = func(e dhcp.Event) { l.event(ctx, a, e) }
		end, err := l.keeper.Add(adding, kept)
		if err != nil {
			unkeep()
			return err
		}
		ends = append(ends, end)
	}
	if len(ends) > 0 {
		a.unkeep = unkeep
	}
	return nil
}

func (l *leases) event(ctx context.Context, a *attachment, e dhcp.Event) {
	l.metrics.add("leases_total", "event", string(e.Kind))
	switch e.Kind {
	case dhcp.Renewed:
	case dhcp.Ended:
		l.lost(ctx, a.guest, a.spec.Name) // by whatever name it has in the guest
	default:
		l.log.warn(ctx, "lease "+string(e.Kind), "guest", e.Guest, "interface", e.Interface, "reason", e.Reason)
	}
}

// keepProgram keeps a program at work until the attachment is released. One that dies is
// started again.
func (l *leases) keepProgram(ctx context.Context, a *attachment, running *program.Running) {
	keeping, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	a.unkeep, a.ended = cancel, ended
	l.programs.Go(func() {
		err := running.Wait(keeping)
		close(ended)
		if err == nil || keeping.Err() != nil {
			return
		}
		l.log.warn(ctx, "lease", "guest", a.made.Guest.Name, "interface", a.spec.Name, "error", err)
		if pause.For(keeping, backoff(time.Second, 0)) == nil {
			l.lost(ctx, a.guest, a.spec.Name)
		}
	})
}
