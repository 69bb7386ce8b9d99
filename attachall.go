//go:build linux

package pipework

import (
	"context"

	"github.com/go-pipework/pipework/link"
)

// AttachAll is [AttachAll] by this Attacher.
func (a *Attacher) AttachAll(ctx context.Context, jobs []Job) ([]*Attachment, error) {
	out := make([]*Attachment, len(jobs))
	err := a.all(ctx, "attach", jobs, func(ctx context.Context, round []*item) { attachRound(ctx, round, out) })
	return out, err
}

// attachRound plugs in what can go together, and then each job goes on by itself.
// No guest's lock is waited for while another's is held.
func attachRound(ctx context.Context, round []*item, out []*Attachment) {
	parallel(round, func(i *item) { i.tryLock(ctx) })
	for _, batch := range batches(round) {
		if backend, ok := batch[0].spec.Link.(link.BatchPlugger); ok && len(batch) > 1 {
			together(batch, func(calls []*link.Call) { backend.PlugAll(ctx, calls) })
		}
	}
	parallel(round, func(i *item) { out[i.index] = i.attach(ctx) })
}

// attach does what is left of the item's work.
func (i *item) attach(ctx context.Context) *Attachment {
	if i.err != nil {
		return nil
	}
	if i.unlock == nil {
		if i.unlock, i.err = i.lock(ctx); i.err != nil {
			return nil
		}
	}
	defer i.unlock()
	var out *Attachment
	if i.call != nil {
		out, i.err = i.goOn(ctx, i.call.Err)
	} else {
		out, i.err = i.job.attach(ctx)
	}
	if i.err != nil {
		i.err = i.rollBack(ctx, i.err)
		return nil
	}
	return out
}
