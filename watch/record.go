package watch

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// errDetached says that the record went while what it declares was attached.
var errDetached = errs.New(fs.ErrInvalid, "it was detached meanwhile")

// recover puts right what a killed call left of an interface that was typed before,
// so that it is attached as it was. A call that is at work is waited for.
func (a *attacher) recover(ctx context.Context, g *guest, want *desired) error {
	if a.plugger.Store == nil || want.byContainer {
		return nil
	}
	now, err := a.plugger.Store.Get(want.record.Guest, want.record.Interface)
	if err != nil || now.Phase == keep.Attached {
		return nil
	}
	now, err = a.pluggerOf(g).Recover(ctx, want.record.Guest, want.record.Interface)
	if err == nil && (now == nil || now.Declared().Text() != want.text) {
		return errs.New(fs.ErrInvalid, "it was changed meanwhile") // of which the Store tells
	}
	return err
}

// pluggerOf is a Plugger to which every Ref is this guest.
func (a *attacher) pluggerOf(g *guest) *keep.Plugger {
	p := *a.plugger
	p.Target = func(ns.Ref) pipework.Target { return a.target(g.ref) }
	return &p
}

// record writes down what was attached. What was detached meanwhile is taken away again.
func (a *attacher) record(ctx context.Context, made *attachment) error {
	store, rec := a.plugger.Store, made.desired.record
	if store == nil {
		return nil
	}
	unlock, err := store.Lock(ctx, rec.Guest, rec.Interface)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := store.Get(rec.Guest, rec.Interface)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	updated, ok := update(now, made)
	switch {
	case !ok:
		if _, err := a.plugger.Attacher.Detach(ctx, a.target(made.guest), made.spec); err != nil {
			return errors.Join(err, a.leave(made))
		}
		return errDetached
	case updated != nil:
		return store.Put(*updated)
	}
	return nil
}

// leave records what was detached meanwhile, and could not be taken away again, as about to be
// taken away: the next cleanup, gc or detach does so.
func (a *attacher) leave(made *attachment) error {
	left := made.desired.record.Reattached(made.declared, made.made)
	left.Phase = keep.Detaching
	defer a.cleanup.request()
	return a.plugger.Store.Put(left)
}

// update is the record as it is to be written after an attach, where now is the one in the
// Store, or nil; nil where nothing is to be written. Not ok: it was detached meanwhile.
func update(now *keep.Record, a *attachment) (updated *keep.Record, ok bool) {
	want := a.desired
	if now != nil && now.Phase == keep.Intent && now.Before != nil {
		now = now.Before // of a call that was killed meanwhile: it holds on
	}
	switch {
	case !want.byContainer && (now == nil || now.Phase != keep.Attached):
		return nil, false
	case want.byContainer && now != nil && now.Source == keep.FromCommand:
		return nil, true // typed just now: its change has the guest reconciled
	case a.made.Existed && saysSo(now, a):
		return nil, true
	case want.byContainer:
		now = want.record
	}
	after := now.Reattached(a.declared, a.made)
	return &after, true
}

// saysSo says whether the record has what was found attached.
func saysSo(r *keep.Record, a *attachment) bool {
	return r != nil && r.Phase == keep.Attached && r.Attachment != nil && r.Guest.ID == cmp.Or(a.made.Guest.ID, r.Guest.ID) &&
		(len(r.Saved) > 0 || len(a.made.Saved) == 0) && // else an earlier version wrote it
		(a.made.Namespace == nil || r.Namespace != nil && *r.Namespace == *a.made.Namespace) &&
		(!a.desired.byContainer || r.Declared().Text() == a.declared.Text())
}

// orphaned says whether the record of what was attached is gone, or about to go:
// only pipework detach takes it from a guest that runs.
func (a *attacher) orphaned(made *attachment) bool {
	if a.plugger.Store == nil {
		return false
	}
	now, err := a.plugger.Store.Get(made.desired.record.Guest, made.desired.record.Interface)
	return errors.Is(err, fs.ErrNotExist) || err == nil && now.Phase == keep.Detaching
}
