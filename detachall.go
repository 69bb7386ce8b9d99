//go:build linux

package pipework

import (
	"context"

	"github.com/go-pipework/pipework/link"
)

// DetachAll is [DetachAll] by this Attacher.
func (a *Attacher) DetachAll(ctx context.Context, jobs []Job) error {
	return a.all(ctx, "detach", jobs, detachRound)
}

// detachRound has each job do by itself what can be undone, and then unplugs what
// can go together. No guest's lock is waited for while another's is held.
func detachRound(ctx context.Context, round []*item) {
	parallel(round, func(i *item) {
		if i.tryLock(ctx); i.ready() && i.opened {
			i.err = i.unconfigure(ctx)
		}
	})
	for _, batch := range batches(round) {
		if backend, ok := batch[0].spec.Link.(link.BatchUnplugger); ok && len(batch) > 1 {
			together(batch, func(calls []*link.Call) { backend.UnplugAll(ctx, calls) })
		}
	}
	parallel(round, func(i *item) { i.detach(ctx) })
}

// detach does what is left of the item's work.
func (i *item) detach(ctx context.Context) {
	if i.unlock == nil && i.err == nil {
		i.err = i.job.detach(ctx) // after whoever has the lock
	} else if i.err == nil && i.spec.Link != nil {
		i.err = i.unplug(ctx)
	}
	if i.err != nil {
		i.err = i.rollBack(ctx, i.err)
	}
	if i.unlock != nil {
		i.unlock()
	}
}

func (i *item) unplug(ctx context.Context) error {
	var err error
	if i.call != nil {
		err = i.call.Err
	} else {
		err = i.spec.Link.Unplug(ctx, &i.port)
	}
	if err != nil && !i.opened {
		return i.fail("link", err)
	}
	return i.unplugged(ctx, err)
}
