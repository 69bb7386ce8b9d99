package watch

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A job is one call of a queue's reconcile, which a test answers.
type job struct {
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
		q.reconcile = func(_ context.Context, g *guest, n news) result {
			j := job{g.ref, n, time.Since(begun), make(chan result)}
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
		if !j.news.compare {
			t.Errorf("%+v", j)
		}
		j.answer <- result{outcome: failing}
		synctest.Wait()
		q.compare(ctx, web)
		before := j.at
		if j = <-jobs; !j.news.compare || j.at-before < 40*time.Millisecond {
			t.Errorf("%+v, after %v", j, before)
		}
		j.answer <- result{}
	})
}
