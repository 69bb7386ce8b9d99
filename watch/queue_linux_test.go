package watch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestQueueComparesPolled has a comparison asked for of a guest that is looked at now and then: it
// is looked at now.
func TestQueueComparesPolled(t *testing.T) {
	inQueue(t, func(t *testing.T, ctx context.Context, q *queue, jobs <-chan job) {
		q.add(ctx, web)
		j := <-jobs
		q.mu.Lock()
		q.items[web].guest.process = &process{exits: &exits{}, pidfd: -1} // whose end nothing tells of
		q.mu.Unlock()
		j.answer <- result{}
		synctest.Wait()
		q.compare(ctx, web)
		before := j.at
		if j = <-jobs; !j.news.compare || !j.news.changed || j.at-before > time.Second {
			t.Errorf("%+v, after %v", j, j.at-before)
		}
		j.answer <- result{}
		if next := <-jobs; next.news.compare || next.at-j.at < lastRetry/2 {
			t.Errorf("%+v, after %v", next, next.at-j.at)
		} else {
			next.answer <- result{outcome: gone}
		}
	})
}
