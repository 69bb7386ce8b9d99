package watch

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"
)

// compareTime bounds the comparison of one guest.
const compareTime = 5 * time.Second

// compare has a guest's interfaces compared with what is declared, if it is known: now, or
// where an attempt failed with the next one. It waits for others to be compared.
func (q *queue) compare(ctx context.Context, k ref) {
	giveBack := q.comparing.take(ctx)
	if giveBack != nil && !q.startComparison(ctx, k, giveBack) {
		giveBack()
	}
}

// startComparison begins to compare a guest that nobody is at, whose end gives the slot back.
func (q *queue) startComparison(ctx context.Context, k ref, giveBack func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[k]
	if it == nil || ctx.Err() != nil {
		return false
	}
	if it.busy || it.timer != nil {
		it.news.compare = true
		if it.isPolled() {
			it.stopTimer()
			it.news.changed = true
			q.start(ctx, it)
		}
		return false
	}
	working, cancel := context.WithCancel(ctx)
	it.busy, it.compared, it.news = true, cancel, news{}
	q.workers.Go(func() {
		defer giveBack()
		defer cancel()
		q.endComparison(ctx, it, q.reconcile(working, it.guest, news{compare: true}))
	})
	return true
}

// endComparison lets a guest go, or has it reconciled where there is something to be done.
func (q *queue) endComparison(ctx context.Context, it *item, r result) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it.busy, it.compared = false, nil
	if ctx.Err() == nil && (it.dirty || r.outcome == stale) {
		it.news.changed = true
		q.start(ctx, it)
	}
}

// compare finds how the interfaces of a guest that runs differ from what was desired last.
// Its source is not asked, nor who finds guests. What fails waits for the next comparison.
func (r *reconciler) compare(ctx context.Context, g *guest) result {
	if g.process == nil || !g.process.known() {
		return result{outcome: stale}
	}
	opened, err := g.process.Open(ctx)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // else its end is told
			r.uncompared(ctx, g, "", err)
		}
		return result{}
	}
	defer func() { _ = opened.Close() }()
	r.observe(ctx, g, opened, news{compare: true})
	r.findOrphans(g)
	if slices.ContainsFunc(plan(g.observed(), g.desired), g.isDue) {
		return result{outcome: stale}
	}
	return result{}
}

// isDue says whether an action changes something.
func (g *guest) isDue(a action) bool {
	return a.verb != retain && (a.verb != hold || g.attached[a.name] != nil)
}

// uncompared tells once why an interface could not be compared with what is declared.
func (r *reconciler) uncompared(ctx context.Context, g *guest, name string, err error) {
	if ctx.Err() == nil && g.unsaid("comparison of "+name, err.Error()) {
		r.log.warn(ctx, "not compared", "guest", g.name, "interface", name, "error", err)
	}
}
