package watch

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

// A queue has guests reconciled: each by one worker at a time, again when there is news
// of it, and again after a failure, less and less often. The contexts that its methods
// are given are those of the whole run.
type queue struct {
	reconcile func(context.Context, *guest, news) result
	poll      time.Duration
	metrics   *metrics
	workers   sync.WaitGroup
	slots     slots
	comparing slots // of comparisons

	mu    sync.Mutex
	items map[ref]*item
}

// An item is one guest in the queue. The guest belongs to the worker while there is one.
type item struct {
	guest    *guest
	name     string // of the guest, once it is known
	busy     bool   // a worker is at it, or about to be
	compared func() // ends the comparison that is at work; nil: there is none
	dirty    bool   // and is to reconcile it again
	woken    bool   // it waits for others to be compared
	news     news   // since it was reconciled last
	failures int    // in a row
	timer    *time.Timer
	shown    shown
	uses     map[string]use // links of the host that it uses
	peers    []ns.Ref       // other guests that it has pairs with
}

// A news is what was heard of a guest.
type news struct {
	changed bool     // something happened: what is desired is read again
	started bool     // it may have started: everything is reattached, not only what changed
	compare bool     // its interfaces are to be compared with what is declared
	lost    []string // interfaces, or their leases, that are no more
}

// A result is how the reconciling of a guest ended.
type result struct {
	outcome  outcome
	failures int // that this one counts for at least
}

type outcome int

const (
	converged outcome = iota // all is as declared, or never will be
	failing                  // something may succeed later
	gone                     // there is no such guest, or nothing is desired for it
	stale                    // of a comparison: there is something to be done
)

// and is the worse of both.
func (r result) and(other result) result {
	return result{max(r.outcome, other.outcome), max(r.failures, other.failures)}
}

// What a guest is shown with in the metrics.
type shown struct {
	attached int
	failing  bool
}

func newQueue(poll time.Duration, m *metrics) *queue {
	return &queue{poll: cmp.Or(poll, lastRetry), metrics: m, slots: newSlots(parallel), comparing: newSlots(comparisons), items: map[ref]*item{}}
}

// add has a guest reconciled.
func (q *queue) add(ctx context.Context, k ref) { q.enqueue(ctx, k, func(*item) {}) }

// started has a guest reconciled that may have started. Failures count from 0 again.
func (q *queue) started(ctx context.Context, k ref) {
	q.enqueue(ctx, k, func(it *item) { it.failures, it.news.started = 0, true })
}

// lost has a guest reconciled whose interface, or its lease, is no more.
func (q *queue) lost(ctx context.Context, k ref, name string) {
	q.enqueue(ctx, k, func(it *item) { it.news.lost = append(it.news.lost, name) })
}

// enqueue makes the guest known, if it is not, and notes news of it.
func (q *queue) enqueue(ctx context.Context, k ref, note func(*item)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	it := q.items[k]
	if it == nil {
		it = &item{guest: newGuest(k), name: k.id}
		q.items[k] = it
	}
	it.stopTimer()
	it.news.changed = true
	note(it)
	if it.busy {
		it.touch()
		return
	}
	q.start(ctx, it)
}

// touch has a guest reconciled again that a worker is at. A comparison gives way.
func (it *item) touch() {
	it.dirty = true
	if it.compared != nil {
		it.compared()
	}
}

// start has a worker reconcile a guest. The lock is held.
func (q *queue) start(ctx context.Context, it *item) {
	it.busy = true
	q.workers.Go(func() { q.work(ctx, it) })
}

func (it *item) stopTimer() {
	if it.timer != nil {
		it.timer.Stop()
		it.timer = nil
	}
}

// work reconciles a guest until there is nothing more to be done now.
func (q *queue) work(ctx context.Context, it *item) {
	giveBack := q.slots.take(ctx)
	if giveBack == nil {
		return
	}
	defer giveBack()
	for !q.done(ctx, it, q.reconcile(ctx, it.guest, q.take(it))) {
	}
}

// take takes the news of a guest.
func (q *queue) take(it *item) news {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := it.news
	it.dirty, it.news = false, news{}
	return n
}

// done ends the work on a guest, unless there is more news.
func (q *queue) done(ctx context.Context, it *item, r result) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		it.busy = false
		return true
	}
	if it.dirty {
		return false
	}
	it.busy = false
	switch r.outcome {
	case gone:
		q.drop(it)
		return true
	case failing:
		it.failures = max(it.failures, r.failures)
		q.requeue(ctx, it, backoff(firstRetry, it.failures))
		it.failures++
	case converged:
		it.failures = 0
		if it.guest.unobserved() {
			q.requeue(ctx, it, q.poll)
		}
	}
	it.uses, it.peers = it.guest.uses(), it.guest.peers()
	q.show(it, shown{len(it.guest.attached), r.outcome == failing})
	return true
}

// users are the guests that use the link of the host in one of these ways.
func (q *queue) users(name string, as use) (all []ref) {
	if as == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, it := range q.items {
		if it.uses[name]&as != 0 {
			all = append(all, k)
		}
	}
	return all
}

// peerStarted has those guests compared that have a pair with the guest, which has started,
// or try to make one.
func (q *queue) peerStarted(ctx context.Context, k ref, name string) {
	for _, other := range q.withPeer(k, name) {
		q.enqueue(ctx, other, func(it *item) { it.failures, it.news.compare = 0, true })
	}
}

// withPeer are the guests that have a pair with the guest, or try to make one.
func (q *queue) withPeer(k ref, name string) (all []ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for other, it := range q.items {
		if other != k && slices.ContainsFunc(it.peers, func(p ns.Ref) bool { return k.isCalled(p, name) }) {
			all = append(all, other)
		}
	}
	return all
}

// wake has a guest compared with what is declared, also one that is looked at now and then
// because nothing tells of its end; one that fails when it is tried again. It does not wait
// for others to be compared.
func (q *queue) wake(ctx context.Context, k ref) {
	q.mu.Lock()
	it := q.items[k]
	if it == nil || it.woken {
		q.mu.Unlock()
		return
	}
	polled := it.isPolled()
	it.woken = !polled
	q.mu.Unlock()
	if polled {
		q.enqueue(ctx, k, func(it *item) { it.news.compare = true })
		return
	}
	q.workers.Go(func() {
		q.compare(ctx, k)
		q.mu.Lock()
		defer q.mu.Unlock()
		it.woken = false
	})
}

// isPolled says whether the guest waits to be looked at again, because nothing tells of its end.
// The lock is held.
func (it *item) isPolled() bool { return !it.busy && it.timer != nil && it.failures == 0 }

// requeue has a guest reconciled after a while. The lock is held.
func (q *queue) requeue(ctx context.Context, it *item, after time.Duration) {
	it.timer = time.AfterFunc(after, func() { q.add(ctx, it.guest.ref) })
}

// remove lets a guest go that is no more.
func (q *queue) remove(k ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[k]
	switch {
	case it == nil:
	case it.busy:
		it.news.changed = true
		it.touch() // which finds that it is gone
	default:
		q.drop(it)
	}
}

// drop lets a guest go. The lock is held, and no worker is at it.
func (q *queue) drop(it *item) {
	it.stopTimer()
	it.guest.clear()
	delete(q.items, it.guest.ref)
	q.show(it, shown{})
}

// show puts a guest into the metrics in place of what it was. The lock is held.
func (q *queue) show(it *item, now shown) {
	was := it.shown
	it.shown = now
	failing := map[bool]float64{true: 1}
	q.metrics.set("guests", float64(len(q.items)))
	q.metrics.change(sample{family: "attachments"}, func(v float64) float64 { return v + float64(now.attached-was.attached) })
	q.metrics.change(sample{family: "guests_failing"}, func(v float64) float64 { return v + failing[now.failing] - failing[was.failing] })
}

// called notes what a guest is called.
func (q *queue) called(k ref, name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.items[k]; it != nil {
		it.name = name
	}
}

// known are all guests.
func (q *queue) known() []ref {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Keys(q.items))
}

// named are the known guests of sources with this name, or whose IDs begin with it.
func (q *queue) named(name string) (all []ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, it := range q.items {
		if k.source != nil && (it.name == name || strings.HasPrefix(k.id, name)) {
			all = append(all, k)
		}
	}
	return all
}

// idle says whether no guest is being reconciled. A comparison does not count.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.busy && it.compared == nil {
			return false
		}
	}
	return true
}

// awaitIdle waits until no guest is being reconciled, and not longer than this.
func (q *queue) awaitIdle(ctx context.Context, most time.Duration) {
	for end := time.Now().Add(most); !q.idle() && time.Now().Before(end); {
		if pause.For(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

// wait waits for the workers. The run's context has ended.
func (q *queue) wait() {
	q.mu.Lock()
	for _, it := range q.items {
		it.stopTimer()
	}
	q.mu.Unlock()
	q.workers.Wait()
}

// clear lets every guest go. No worker is left.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, it := range q.items {
		it.guest.clear()
		delete(q.items, k)
	}
}
