package watch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A job is one call of a queue's reconcile, which a test answers.
type job struct {
	ctx    context.Context
	guest  ref
	news   news
	at     time.Duration // since the test began
	answer chan result
}

// inQueue runs a test with a queue, whose reconciling it answers, in time of its own.
func inQueue(t *testing.T, test func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q, begun := newQueue(0, &metrics{}), time.Now()
		jobs := make(chan job)
		q.reconcile = func(ctx context.Context, g *guest, n news) result {
			j := job{ctx, g.ref, n, time.Since(begun), make(chan result)}
			jobs <- j
			return <-j.answer
		}
		test(t, ctx, q, jobs)
		synctest.Wait()
		select {
		case j := <-jobs:
			t.Errorf("%+v is reconciled once more", j)
			j.answer <- result{}
		default:
		}
		cancel()
		q.wait()
		q.clear()
	})
}

var web, db = ref{id: "web"}, ref{id: "db"}

// TestQueueOneWorker has news of a guest arrive while it is reconciled: it is reconciled
// again when that has ended, once, and another guest meanwhile.
func TestQueueOneWorker(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		q.add(ctx, web)
		first := <-jobs
		q.lost(ctx, web, "eth1")
		q.started(ctx, web)
		q.lost(ctx, web, "eth2")
		q.add(ctx, db)
		other := <-jobs
		if other.guest != db || q.idle() {
			t.Errorf("%+v", other)
		}
		other.answer <- result{}
		first.answer <- result{}
		second := <-jobs
		if n := second.news; second.guest != web || !n.started || !slices.Equal(n.lost, []string{"eth1", "eth2"}) {
			t.Errorf("%+v", second)
		}
		second.answer <- result{}
		synctest.Wait()
		if !q.idle() || len(q.known()) != 2 {
			t.Errorf("known: %v", q.known())
		}
	})
}

// TestQueueBacksOff has a guest fail: the waits double, and begin anew when it starts.
func TestQueueBacksOff(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		q.add(ctx, web)
		var before time.Duration
		next := func(least, most time.Duration, answer result) {
			t.Helper()
			j := <-jobs
			if wait := j.at - before; wait < least || wait > most {
				t.Errorf("reconciled after %v, want %v to %v", wait, least, most)
			}
			before = j.at
			j.answer <- answer
			synctest.Wait()
		}
		next(0, 0, result{outcome: failing})
		next(40*time.Millisecond, 60*time.Millisecond, result{outcome: failing})
		next(80*time.Millisecond, 120*time.Millisecond, result{failing, 5})
		next(1280*time.Millisecond, 1920*time.Millisecond, result{outcome: failing})
		q.started(ctx, web)
		next(0, 0, result{outcome: failing})
		next(40*time.Millisecond, 60*time.Millisecond, result{outcome: failing})
		for range 12 {
			next(80*time.Millisecond, 36*time.Second, result{outcome: failing})
		}
		next(24*time.Second, 36*time.Second, result{})
		time.Sleep(time.Hour) // what has converged is left alone
	})
}

// TestQueueForgets has guests that are gone.
func TestQueueForgets(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		q.add(ctx, web)
		(<-jobs).answer <- result{outcome: gone}
		synctest.Wait()
		if known := q.known(); len(known) > 0 {
			t.Errorf("known: %v", known)
		}
		q.compare(ctx, web) // which makes nobody known
		q.add(ctx, web)
		j := <-jobs
		q.remove(web) // while it is reconciled
		j.answer <- result{}
		(<-jobs).answer <- result{} // which did not find that it is gone
		synctest.Wait()
		q.remove(web)
		if known := q.known(); len(known) > 0 {
			t.Errorf("known: %v", known)
		}
	})
}

// TestQueueCompares has a comparison asked for: of one that fails it waits for the next
// attempt.
func TestQueueCompares(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		q.add(ctx, web)
		(<-jobs).answer <- result{}
		synctest.Wait()
		q.compare(ctx, web)
		j := <-jobs
		if !j.news.compare || j.news.changed {
			t.Errorf("%+v", j)
		}
		j.answer <- result{outcome: stale}
		if j = <-jobs; !j.news.changed || j.news.compare {
			t.Errorf("what is to be done: %+v", j)
		}
		j.answer <- result{outcome: failing}
		synctest.Wait()
		q.compare(ctx, web)
		before := j.at
		if j = <-jobs; !j.news.compare || !j.news.changed || j.at-before < 40*time.Millisecond {
			t.Errorf("%+v, after %v", j, before)
		}
		j.answer <- result{}
	})
}

// TestQueueComparesFew has as many comparisons at work as there may be: one more waits, and
// what starts does not, also of a guest that is being compared.
func TestQueueComparesFew(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		var comparing []job
		for i := range comparisons + 1 {
			k := ref{id: fmt.Sprint("guest", i)}
			q.add(ctx, k)
			(<-jobs).answer <- result{}
			synctest.Wait()
			if i < comparisons {
				q.compare(ctx, k)
				comparing = append(comparing, <-jobs)
			}
		}
		if !q.idle() {
			t.Error("a comparison is work")
		}
		waits := make(chan struct{})
		go func() {
			q.compare(ctx, ref{id: fmt.Sprint("guest", comparisons)})
			close(waits)
		}()
		synctest.Wait()
		select {
		case <-waits:
			t.Error("too many comparisons")
		default:
		}
		q.started(ctx, web)
		(<-jobs).answer <- result{}

		first := comparing[0]
		q.started(ctx, first.guest)
		<-first.ctx.Done()
		first.answer <- result{}
		for range 2 { // the start, and the comparison that waited
			j := <-jobs
			if started := j.guest == first.guest; started != j.news.started || started == j.news.compare {
				t.Errorf("%+v", j)
			}
			j.answer <- result{}
		}
		<-waits
		for _, j := range comparing[1:] {
			j.answer <- result{}
		}
	})
}

// TestQueueInterrupts has a guest start at any moment of its comparison, also before that has
// begun: the start is not taken for a part of it.
func TestQueueInterrupts(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		q.add(ctx, web)
		(<-jobs).answer <- result{}
		for range 100 {
			synctest.Wait()
			q.compare(ctx, web)
			q.started(ctx, web)
			j := <-jobs
			if !j.news.compare || j.news.changed {
				t.Errorf("%+v", j.news)
			}
			j.answer <- result{}
			if j = <-jobs; !j.news.started || j.ctx.Err() != nil {
				t.Errorf("%+v, %v", j.news, j.ctx.Err())
			}
			j.answer <- result{}
		}
	})
}

// TestWakeDoesNotWait wakes guests while comparisons hang: nobody waits for those, and each
// guest is compared once when there is room again.
func TestWakeDoesNotWait(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		var hanging []job
		for n := range comparisons + 1 {
			q.add(ctx, ref{id: fmt.Sprint("guest", n)})
			(<-jobs).answer <- result{}
		}
		synctest.Wait()
		for n := range comparisons {
			q.wake(ctx, ref{id: fmt.Sprint("guest", n)})
			hanging = append(hanging, <-jobs)
		}
		last := ref{id: fmt.Sprint("guest", comparisons)}
		for range 3 {
			q.wake(ctx, last) // hangs for ever, where it waits
		}
		q.wake(ctx, ref{id: "stranger"})
		synctest.Wait()
		for _, j := range hanging {
			j.answer <- result{}
		}
		if j := <-jobs; j.guest != last || !j.news.compare {
			t.Errorf("%+v", j)
		} else {
			j.answer <- result{}
		}
	})
}

// TestSlowGuestsKeepNobodyWaiting has more guests than are reconciled at once hang: one that
// starts waits for a second at most.
func TestSlowGuestsKeepNobodyWaiting(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		var hanging []job
		for n := range parallel {
			q.add(ctx, ref{id: fmt.Sprint("slow", n)})
			hanging = append(hanging, <-jobs)
		}
		q.started(ctx, web)
		j := <-jobs
		if j.guest != web || j.at > slotTime {
			t.Errorf("%v after %v", j.guest, j.at)
		}
		j.answer <- result{}
		for _, j := range hanging {
			j.answer <- result{}
		}
	})
}

// TestQueueBoundsSlowGuests has ever more guests that take long: as many are worked on at once as
// there is room for, and the next one when one ends.
func TestQueueBoundsSlowGuests(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		const most = parallel + slowGuests
		for i := range most + 1 {
			q.add(ctx, ref{id: fmt.Sprint("slow", i)})
		}
		var at []job
		for end := time.After(time.Hour); len(at) <= most; {
			select {
			case j := <-jobs:
				at = append(at, j)
				continue
			case <-end:
			}
			break
		}
		if len(at) != most {
			t.Errorf("%d at once, want %d", len(at), most)
		}
		at[0].answer <- result{}
		if len(at) == most {
			at = append(at, <-jobs)
		}
		for _, j := range at[1:] {
			j.answer <- result{}
		}
	})
}
