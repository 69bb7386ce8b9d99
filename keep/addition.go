package keep

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/stage"
)

// An addition is the Intent of a line for an interface that is there: it has an
// Attachment, what is there, and declares what there will be. What a killed call left of
// one is made whole, not taken back: nobody else knows which part of the interface is its.
func (r *Record) isAddition() bool { return r.Phase == Intent && r.Attachment != nil }

// addition is the Intent r as an addition to at; not ok where r declares nothing new, or
// is going to be refused.
func (r Record) addition(at *pipework.Attachment) (ahead Record, ok bool) {
	if at == nil || r.Spec.Link == nil || at.Link != r.Spec.Link.String() {
		return r, false
	}
	ahead = r
	ahead.Attachment, ahead.Saved, ahead.Guest.ID = stored(at), at.Saved, at.Guest.ID
	ahead.mergeBefore(at)
	return ahead, r.Before == nil || r.Before.Declared().Text() != ahead.Declared().Text()
}

// mergeBefore has the record declare what the one before it does, too, where both are of
// the link that at is plugged into.
func (r *Record) mergeBefore(at *pipework.Attachment) {
	if r.follows(at) {
		r.declare(merge(r.Before.Declared(), r.Declared()))
	}
}

// follows says whether the record before is of the link that at is plugged into.
func (r *Record) follows(at *pipework.Attachment) bool {
	b := r.Before
	return b != nil && b.Attachment != nil && b.Attachment.Link == at.Link
}

// isMerged says whether an addition declares what the record before it does, too.
func (r *Record) isMerged() bool { return r.isAddition() && r.follows(r.Attachment) }

// finishAddition makes whole what a killed call was adding, where the interface is still
// there; else it is left to who plugs it in again.
func (c recovery) finishAddition(ctx context.Context, r *Record) (*Record, error) {
	p, t := c.plugger, c.plugger.guests().targetOf(ctx, r)
	_, is, err := there(ctx, p.observer(), t, r.Interface)
	if err != nil {
		return nil, err
	}
	done := *r
	done.Phase, done.Before, done.Since = Attached, nil, cmp.Or(r.Since, r.Changed)
	if !is {
		return &done, p.Store.Put(done)
	}
	d, err := p.Resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	d.Spec.Add, d.Spec.Last = true, true
	at, err := p.attacher().Attach(ctx, t, d.Spec)
	if stage.Stale(err) {
		at, err = p.attacher().Update(ctx, t, d.Spec)
	}
	switch {
	case err == nil:
		done.Attachment, done.Saved = stored(at), at.Saved
		return &done, p.Store.Put(done)
	case stage.NoGuest(err):
		return &done, p.Store.Put(done)
	case errors.Is(err, fs.ErrExist): // refused, as that call would have been
		return r.Before, p.Store.restore(r)
	}
	return nil, err
}
