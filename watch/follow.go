package watch

import (
	"context"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

// follow hears one source until ctx ends. Whenever the stream of events begins,
// at first or again, every running guest is looked at.
func (r *run) follow(s ns.Source) error {
	said := ""
	for try := 0; ; try++ {
		err := s.Follow(r.ctx, func() {
			try, said = 0, ""
			r.metrics.set("source_connected", 1, "source", s.String())
			r.synchronise(s)
		}, func(e ns.Event) { r.event(s, e) })
		r.metrics.set("source_connected", 0, "source", s.String())
		if r.ctx.Err() != nil {
			return nil
		}
		r.metrics.add("source_failures_total", "source", s.String())
		r.asked(s)
		wait := backOff(reconnect, try)
		if said != err.Error() {
			said = err.Error()
			r.warn("no events of containers: trying again", "source", s, "error", err)
		}
		if pause.For(r.ctx, wait) != nil {
			return nil
		}
	}
}

// synchronise looks at every guest of the source that runs.
func (r *run) synchronise(s ns.Source) {
	r.metrics.add("synchronisations_total", "source", s.String())
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	ids, err := s.Running(ctx)
	if err != nil {
		r.warn("cannot list containers", "source", s, "error", err)
		r.asked(s)
		return
	}
	for _, id := range ids {
		r.wakeAfresh(ref{s, id})
	}
	r.collectRemoved()
	r.asked(s)
}

// asked notes that a source was asked; once all were, the service is ready. One
// that is not there must not keep the machine from starting.
func (r *run) asked(s ns.Source) {
	r.mu.Lock()
	before := len(r.synced)
	r.synced[s] = true
	now := len(r.synced)
	r.mu.Unlock()
	if now > before && now == len(r.Sources) {
		r.ready()
	}
}

func (r *run) ready() {
	r.wakeRecords()
	r.jobs.Go(func() {
		r.settle()
		r.notify("READY=1\nSTATUS=Watching")
		r.info("watching")
	})
}

// settle waits, five seconds at most, until what was found is plugged in: what is
// started after this service may count on it.
func (r *run) settle() {
	for end := time.Now().Add(5 * time.Second); !r.idle() && time.Now().Before(end); {
		if pause.For(r.ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

func (r *run) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.guests {
		if g.busy {
			return false
		}
	}
	return true
}

// event takes one event of a source.
func (r *run) event(s ns.Source, e ns.Event) {
	r.metrics.add("events_total", "action", string(e.Action))
	k := ref{s, e.ID}
	switch e.Action {
	case ns.Started:
		r.wakeAfresh(k)
	case ns.Died:
		r.collectSoon()
	case ns.Removed:
		r.forget(k)
		r.collectRemoved()
	}
}
