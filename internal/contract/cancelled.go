//go:build linux

package contract

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
)

// WhileAtWork calls do with a context that ends while the first step is made, then with
// one that ends during a later one, until there are no more: the way of Ctrl-C.
func WhileAtWork(t *testing.T, stride int, do func(context.Context)) {
	if testing.Short() {
		stride = short
	}
	for n := 1; ; n += stride {
		var mu sync.Mutex
		count, during := 0, ""
		ctx, cancel := context.WithCancel(t.Context())
		do(fault.With(ctx, func(step string) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count == n {
				during = step
				cancel()
			}
			return nil
		}))
		cancel()
		if t.Failed() {
			t.Fatalf("cancelled during step %d, %s", n, during)
		}
		if during == "" {
			t.Logf("%d steps", count)
			return
		}
	}
}

// isCancelled fails the test for any other error.
func isCancelled(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// detachCancelled ends the context at steps of a Detach: either nothing was done, or all of
// it.
func (c Case) detachCancelled(t *testing.T) {
	f := c.fixture(t)
	finished := 0
	WhileAtWork(t, (some()+1)/2, func(ctx context.Context) {
		attach(t, f.target, f.spec())
		attached := f.observe(t)
		if _, err := pipework.Detach(ctx, f.target, f.spec()); err != nil {
			isCancelled(t, err)
			attached.Unchanged(t)
			detach(t, f.target, f.spec())
		} else if ctx.Err() != nil {
			finished++
		}
		f.world.Unchanged(t)
	})
	if finished == 0 {
		t.Error("none was finished")
	}
}

// updateCancelled does the same to Update.
func (c Case) updateCancelled(t *testing.T) {
	f, before, want := c.updated(t)
	old, next := f.specs()
	WhileAtWork(t, 2*some()+1, func(ctx context.Context) {
		if _, err := pipework.Update(ctx, f.target, next); err != nil {
			isCancelled(t, err)
		} else {
			want.Alike(t)
			update(t, f.target, old)
		}
		before.Unchanged(t)
	})
	f.clear(t, old)
}

// manyCancelled does the same to AttachAll and DetachAll: each job is as it was, or done.
func (c Case) manyCancelled(t *testing.T) {
	f := c.fixture(t)
	target, guest := nstest.Guest(t)
	jobs := f.jobs(target)
	world := f.observe(t, guest.Handle)
	WhileAtWork(t, 3, func(ctx context.Context) {
		out, err := pipework.AttachAll(ctx, jobs)
		eachIs(t, jobs, out, err)
		if ctx.Err() == nil {
			f.detachAll(t, ctx, jobs)
		}
		if _, err := pipework.DetachAll(t.Context(), jobs); err != nil {
			t.Error(err)
		}
		world.Unchanged(t)
	})
}

// detachAll detaches the jobs until ctx ends: each is gone, or as declared.
func (f *fixture) detachAll(t *testing.T, ctx context.Context, jobs []pipework.Job) {
	t.Helper()
	_, err := pipework.DetachAll(ctx, jobs)
	var failed pipework.JobErrors
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("%T: %v", err, err)
	}
	for i, j := range jobs {
		at, missing := pipework.Check(t.Context(), j.Target, j.Spec)
		switch {
		case failed != nil && failed[i] != nil:
			isCancelled(t, failed[i])
			if missing != nil || len(at.Drifts) > 0 {
				t.Errorf("jobs[%d] failed: %+v, %v", i, at, missing)
			}
		case !errors.Is(missing, fs.ErrNotExist):
			t.Errorf("jobs[%d] is done: %+v, %v", i, at, missing)
		}
	}
}
