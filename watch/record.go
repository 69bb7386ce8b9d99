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

// errDetached says that the record went before what it declares was attached, or mended.
var errDetached = errs.New(fs.ErrInvalid, "it was detached meanwhile")

// lock locks the record of what is to be attached, once nothing is left of a killed call. It fails
// where a detach came first.
func (a *attacher) lock(ctx context.Context, g *guest, t task) (unlock func(), err error) {
	store, want := a.plugger.Store, t.desired
	if store == nil {
		return func() {}, nil
	}
	if err := a.recover(ctx, g, want); err != nil {
		return nil, err
	}
	unlock, err = store.Lock(ctx, want.record.Guest, want.record.Interface)
	if errs.IsUnwritable(err) {
		unlock, err = func() {}, nil // nobody can write a record either
	}
	if err != nil {
		return nil, err
	}
	if err := a.stillDesired(t); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// stillDesired fails where the record is gone of what was typed, or of what was attached to a
// container since its start, or where something else was typed. A record that cannot be read is
// not gone.
func (a *attacher) stillDesired(t task) error {
	if t.desired.byContainer {
		if t.was != nil && !t.was.restarted && a.orphaned(t.was) {
			return errDetached
		}
		return nil
	}
	now, err := a.plugger.Store.Get(t.desired.record.Guest, t.desired.record.Interface)
	now = kept(now)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && now.Phase != keep.Attached:
		return errDetached
	case err == nil && now.Declared().Text() != t.desired.text:
		return errs.New(fs.ErrInvalid, "it was changed meanwhile") // of which the Store tells
	}
	return nil
}

// kept is the record that a killed call was about to replace, where r is such a one's.
func kept(r *keep.Record) *keep.Record {
	if r != nil && r.Phase == keep.Intent && r.Before != nil {
		return r.Before
	}
	return r
}

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
	_, err = a.pluggerOf(g).Recover(ctx, want.record.Guest, want.record.Interface)
	return err
}

// pluggerOf is a Plugger to which every Ref is this guest.
func (a *attacher) pluggerOf(g *guest) *keep.Plugger {
	p := *a.plugger
	p.Target = func(ns.Ref) pipework.Target { return a.target(g.ref) }
	return &p
}

// record writes down what was attached. The record is locked.
func (a *attacher) record(made *attachment) error {
	store, rec := a.plugger.Store, made.desired.record
	if store == nil {
		return nil
	}
	now, err := store.Get(rec.Guest, rec.Interface)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if updated := update(now, made); updated != nil {
		return store.Put(*updated)
	}
	return nil
}

// update is the record as it is to be written after an attach, where now is the one in the
// Store, or nil; nil where nothing is to be written.
func update(now *keep.Record, a *attachment) *keep.Record {
	want := a.desired
	now = kept(now)
	switch {
	case !want.byContainer && (now == nil || now.Phase != keep.Attached):
		return nil // somebody has taken the file away
	case want.byContainer && now != nil && now.Source == keep.FromCommand:
		return nil // typed just now: its change has the guest reconciled
	case a.made.Existed && saysSo(now, a):
		return nil
	case want.byContainer:
		now = want.record
	}
	after := now.Reattached(a.declared, a.made)
	return &after
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
