package watch

import (
	"cmp"
	"context"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A run is one call of Run: what observes, what reconciles, and what cleans up.
type run struct {
	watcher *Watcher
	queue   *queue
	leases  *leases
	cleanup *cleanup
	exits   *exits
	changes *changes
	links   *links
	uplinks *uplinks
	records *recordFollower
	shims   *shims
	ready   *readiness
}

func (w *Watcher) newRun(plugger *keep.Plugger, exits *exits, changes *changes) *run {
	log := logger{w.Log}
	state := &records{store: plugger.Store, metrics: &w.metrics, log: log}
	q := newQueue(w.Poll, &w.metrics)
	r := &run{
		watcher: w, queue: q, exits: exits, changes: changes,
		leases:  &leases{plugger: plugger, lost: q.lost, metrics: &w.metrics, log: log},
		cleanup: &cleanup{plugger: plugger, sources: w.Sources, requested: make(chan struct{}, 1), metrics: &w.metrics, log: log},
		records: &recordFollower{records: state, queue: q, sources: w.Sources, others: w.Plugger.Target != nil, log: log},
		shims:   &shims{plugger: plugger, requested: make(chan struct{}, 1), log: log},
		ready:   &readiness{waiting: map[ns.Source]bool{}},
	}
	r.shims.leases = &uplinkLeases{plugger: plugger, keeper: &r.leases.keeper, kept: map[string]func(){}, gone: make(chan string, 16), log: log}
	r.uplinks = newUplinks(plugger, longestCalm(w.Resync), log)
	for _, s := range w.Sources {
		r.ready.waiting[s] = true
	}
	q.reconcile = (&reconciler{
		attacher: &attacher{
			plugger: plugger, leases: r.leases, cleanup: r.cleanup, permits: w.Declarations, machine: w.Machine, metrics: &w.metrics, log: log,
		},
		queue: q, cleanup: r.cleanup, exits: exits, records: state,
		desired: &declarations{records: state, sources: w.Sources, config: w.Declarations},
		metrics: &w.metrics, log: log, longestCalm: longestCalm(w.Resync), probe: cmp.Or(w.probe, probeTime),
	}).reconcile
	return r
}

// run observes until ctx ends.
func (r *run) run(ctx context.Context, cancel context.CancelCauseFunc) {
	all := []func() error{
		func() error { return r.leases.run(ctx) },
		func() error { return r.followExits(ctx) },
		func() error { return r.cleanup.run(ctx) },
		func() error { return r.cleanup.awaitSwitch(ctx, r.cleanup.plugger.OVS) },
		func() error { return r.watchdog(ctx) },
		func() error { return r.resync(ctx, cmp.Or(r.watcher.Resync, time.Minute)) },
		func() error { return r.changes.follow(ctx, r.recordsChanged) },
		func() error { return r.links.follow(ctx, r.queue, r.watcher.Resync >= 0) },
		func() error { return r.shims.run(ctx) },
		func() error { return r.uplinks.follow(ctx, cmp.Or(r.watcher.Resync, time.Minute)) },
	}
	for _, s := range r.watcher.Sources {
		f := &sourceFollower{source: s, queue: r.queue, cleanup: r.cleanup, listed: r.listed, metrics: &r.watcher.metrics, log: logger{r.watcher.Log}}
		all = append(all, func() error { return f.follow(ctx) })
	}
	observing := loops(cancel, all...)
	if len(r.watcher.Sources) == 0 {
		r.begun(ctx)
	}
	<-ctx.Done()
	r.notify("STOPPING=1")
	r.exits.close()
	observing.Wait()
}

// end waits for what is at work, and lets every guest go. Nothing observes any more.
func (r *run) end() {
	r.queue.wait()
	r.leases.wait()
	r.cleanup.wait()
	r.queue.clear()
}

// listed notes that a source was asked which guests run, also in vain.
func (r *run) listed(ctx context.Context, s ns.Source) {
	if r.ready.asked(s) {
		r.begun(ctx)
	}
}

// begun tells the service manager that the service is ready, once what was found is
// reconciled: what is started after this service may count on it.
func (r *run) begun(ctx context.Context) {
	r.records.reconcile(ctx)
	r.queue.workers.Go(func() {
		r.queue.awaitIdle(ctx, 5*time.Second)
		r.notify("READY=1\nSTATUS=Watching")
		logger{r.watcher.Log}.info("watching")
	})
}

// followExits has guests reconciled whose process has ended, and what they left behind
// cleaned up.
func (r *run) followExits(ctx context.Context) error {
	for {
		ended, ok := r.exits.wait()
		if !ok {
			return nil
		}
		for _, k := range ended {
			r.watcher.metrics.add("deaths_total")
			r.queue.add(ctx, k)
		}
		r.cleanup.request()
	}
}

// resync has every guest's interfaces compared with what is declared, one guest after the
// other, each once in an interval.
func (r *run) resync(ctx context.Context, interval time.Duration) error {
	if interval < 0 {
		return nil
	}
	for {
		known := r.queue.known()
		r.shims.request()
		if len(known) == 0 && pause.For(ctx, interval) != nil {
			return nil
		}
		for _, k := range known {
			if pause.For(ctx, interval/time.Duration(len(known))) != nil {
				return nil
			}
			r.queue.compare(ctx, k)
		}
	}
}

// recordsChanged has reconciled what records tell of.
func (r *run) recordsChanged(ctx context.Context) {
	r.shims.request()
	r.uplinks.wake()
	r.records.reconcile(ctx)
}

// watchdog tells the service manager that nothing hangs.
func (r *run) watchdog(ctx context.Context) error {
	interval := r.watcher.Watchdog
	if interval <= 0 {
		return nil
	}
	for pause.For(ctx, interval/2) == nil {
		_ = r.queue.idle() // takes the lock, and so hangs when everything does
		r.notify("WATCHDOG=1")
	}
	return nil
}

func (r *run) notify(state string) {
	if r.watcher.Notify != nil {
		r.watcher.Notify(state)
	}
}
