package watch

import (
	"cmp"
	"context"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A ref names a guest: a source and its ID there, or no source and the word of a
// record.
type ref struct {
	source ns.Source
	id     string
}

// A guest is one that runs, as far as is known, and has something declared. Its
// last fields belong to the job at work, or to nobody while there is none.
type guest struct {
	ref
	busy   bool     // a job is at work, or about to be
	again  bool     // and is to look again when it is done
	afresh bool     // at everything, not only at what failed
	lost   []string // interfaces that are no more, as their leases tell
	tries  int      // failures in a row
	timer  *time.Timer
	shown  shown

	name    string // for people; the lock is held when it is written
	started bool   // as its source has said since it was looked at last
	life    *life  // of the process that what is plugged belongs to
	plugged map[string]*plug
	left    map[string]bool            // detached interfaces: what the guest declares for them waits for its next start
	ending  map[string]<-chan struct{} // of programs that were told to end, by the interface
	said    map[string]string          // what was last said about each declaration
}

// A plug is one interface that is as declared.
type plug struct {
	guest    ref
	wish     *wish
	declared keep.Declared
	spec     pipework.Spec
	made     *pipework.Attachment
	unkeep   func()          // ends the keeping of its lease; nil: there is none
	ended    <-chan struct{} // closed when a program that kept it has ended; nil: there was none
}

// What a guest is shown with in the metrics.
type shown struct {
	plugged int
	failing bool
}

// wake has a guest looked at, soon and by one job at a time.
func (r *run) wake(k ref) { r.rouse(k, func(*guest) {}) }

// wakeAfresh is wake for news from the guest itself: everything is checked, and
// failures count anew.
func (r *run) wakeAfresh(k ref) { r.rouse(k, func(g *guest) { g.tries, g.afresh = 0, true }) }

// rouse makes the guest known, if it is not, and notes news of it.
func (r *run) rouse(k ref, news func(*guest)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	g := r.guests[k]
	if g == nil {
		g = &guest{ref: k, name: k.id, plugged: map[string]*plug{}, left: map[string]bool{}, ending: map[string]<-chan struct{}{}, said: map[string]string{}}
		r.guests[k] = g
	}
	g.stopTimer()
	news(g)
	if g.busy {
		g.again = true
		return
	}
	g.busy = true
	r.jobs.Go(func() { r.work(g) })
}

func (g *guest) stopTimer() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// work looks at a guest until there is nothing more to be done now.
func (r *run) work(g *guest) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-r.ctx.Done():
		return
	}
	for {
		r.mu.Lock()
		lost := g.lost
		g.started = g.afresh
		g.again, g.afresh, g.lost = false, false, nil
		r.mu.Unlock()
		if g.started {
			g.checkAll()
		}
		if len(lost) > 0 {
			r.held.stale() // perhaps by a detach
		}
		for _, name := range lost {
			if p := g.plugged[name]; p != nil && r.detached(p) {
				g.left[name] = true
			}
			g.unplugged(name)
		}
		if r.rest(g, r.look(g)) {
			return
		}
	}
}

// A verdict is how a look at a guest ended.
type verdict int

const (
	settled verdict = iota // all is as declared, or never will be
	failing                // something may succeed later
	over                   // there is no such guest, or nothing for it to do
)

// rest ends a job, unless there is news.
func (r *run) rest(g *guest, v verdict) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		g.busy = false
		return true
	}
	if g.again {
		return false
	}
	g.busy = false
	switch v {
	case over:
		r.drop(g)
		return true
	case failing:
		wait := backOff(firstRetry, g.tries)
		g.tries++
		g.timer = time.AfterFunc(wait, func() { r.wake(g.ref) })
	case settled:
		g.tries = 0
		if g.source == nil && g.life != nil && !g.life.heard() {
			g.timer = time.AfterFunc(cmp.Or(r.Poll, lastRetry), func() { r.wake(g.ref) })
		}
	}
	r.show(g, shown{len(g.plugged), v == failing})
	return true
}

// drop lets a guest go. The lock is held, and no job at work.
func (r *run) drop(g *guest) {
	g.stopTimer()
	g.clear()
	delete(r.guests, g.ref)
	r.show(g, shown{})
}

// show puts a guest into the metrics in place of what it was. The lock is held.
func (r *run) show(g *guest, now shown) {
	was := g.shown
	g.shown = now
	failing := map[bool]float64{true: 1}
	r.metrics.set("guests", float64(len(r.guests)))
	r.metrics.change(sample{family: "attachments"}, func(v float64) float64 { return v + float64(now.plugged-was.plugged) })
	r.metrics.change(sample{family: "guests_failing"}, func(v float64) float64 { return v + failing[now.failing] - failing[was.failing] })
}

// forget lets a guest go that is no more.
func (r *run) forget(k ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.guests[k]
	if g == nil {
		return
	}
	if g.busy {
		g.again = true // which finds that it is gone
		return
	}
	r.drop(g)
}

// clear forgets what is known of the guest's interfaces and process.
func (g *guest) clear() {
	g.clearPlugs()
	if g.life != nil {
		g.life.close()
		g.life = nil
	}
}

// checkAll has everything checked and, where it is missing, plugged in. A program
// at work goes on, if its guest does: another one would begin by taking the address
// away.
func (g *guest) checkAll() {
	for name, p := range g.plugged {
		if !p.atWork() || g.life == nil || g.life.over() {
			g.unplugged(name)
		}
	}
	clear(g.left)
}

// atWork says whether a program keeps the lease.
func (p *plug) atWork() bool {
	if p.ended == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (g *guest) clearPlugs() {
	for name := range g.plugged {
		g.unplugged(name)
	}
	clear(g.left)
}

func (g *guest) unplugged(name string) {
	if p := g.plugged[name]; p != nil && p.unkeep != nil {
		p.unkeep()
		if p.ended != nil {
			g.ending[name] = p.ended
		}
	}
	delete(g.plugged, name)
}

// awaitEnd waits until the program has ended that kept an interface's lease until
// now: another one may follow then.
func (g *guest) awaitEnd(ctx context.Context, name string) error {
	if ending := g.ending[name]; ending != nil {
		select {
		case <-ending:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		delete(g.ending, name)
	}
	return nil
}
