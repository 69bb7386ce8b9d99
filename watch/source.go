package watch

import (
	"context"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

// reconnect is the wait until a source is connected to again, at first.
const reconnect = 100 * time.Millisecond

// A sourceFollower has the guests of one source reconciled when they start.
type sourceFollower struct {
	source  ns.Source
	queue   *queue
	cleanup *cleanup
	listed  func(context.Context, ns.Source) // after each attempt to list the guests
	metrics *metrics
	log     logger
}

// follow hears the source until ctx ends. Whenever the stream of events begins,
// at first or again, every running guest is reconciled.
func (f *sourceFollower) follow(ctx context.Context) error {
	name, said := f.source.String(), ""
	for try := 0; ; try++ {
		err := f.source.Follow(ctx, func() {
			try, said = 0, ""
			f.metrics.set("source_connected", 1, "source", name)
			f.list(ctx)
		}, func(e ns.Event) { f.event(ctx, e) })
		f.metrics.set("source_connected", 0, "source", name)
		if ctx.Err() != nil {
			return nil
		}
		f.metrics.add("source_failures_total", "source", name)
		f.listed(ctx, f.source)
		wait := backoff(reconnect, try)
		if said != err.Error() {
			said = err.Error()
			f.log.warn(ctx, "no events of containers: trying again", "source", f.source, "error", err)
		}
		if pause.For(ctx, wait) != nil {
			return nil
		}
	}
}

// list has every guest of the source reconciled that runs.
func (f *sourceFollower) list(ctx context.Context) {
	f.metrics.add("synchronisations_total", "source", f.source.String())
	defer f.listed(ctx, f.source)
	asking, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	ids, err := f.source.Running(asking)
	if err != nil {
		f.log.warn(ctx, "cannot list containers", "source", f.source, "error", err)
		return
	}
	for _, id := range ids {
		f.queue.started(ctx, ref{f.source, id})
	}
	f.cleanup.requestPrune()
}

// event takes one event of the source.
func (f *sourceFollower) event(ctx context.Context, e ns.Event) {
	f.metrics.add("events_total", "action", string(e.Action))
	k := ref{f.source, e.ID}
	switch e.Action {
	case ns.Started:
		f.queue.started(ctx, k)
	case ns.Died:
		f.cleanup.request()
	case ns.Removed:
		f.queue.remove(k)
		f.cleanup.requestPrune()
	}
}

// A readiness knows which sources were not asked yet. One that is not there must not keep
// the machine from starting: it counts once it was asked in vain.
type readiness struct {
	mu      sync.Mutex
	waiting map[ns.Source]bool
}

// asked notes that a source was asked, and says whether it was the last one.
func (r *readiness) asked(s ns.Source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.waiting[s] && len(r.waiting) == 1
	delete(r.waiting, s)
	return last
}
