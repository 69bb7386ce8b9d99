package watch

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// wakeRecords has those guests looked at whose records have come, gone or changed
// since it was called last, as far as no source tells of their start.
func (r *run) wakeRecords() {
	r.held.stale()
	records, err := r.records()
	if err != nil {
		r.warn("state", "error", err)
		return
	}
	now, guests := map[string]string{}, map[string]*keep.Record{}
	for i, rec := range records {
		k := rec.Guest.String() + "\x00" + rec.Interface
		now[k], guests[k] = rec.Declared().Text(), &records[i]
	}
	r.mu.Lock()
	before := r.seen
	r.seen = now
	r.mu.Unlock()
	for k, text := range now {
		if was, known := before[k]; !known || was != text {
			r.wakeRecord(guests[k].Guest)
		}
	}
	for k := range before {
		if _, still := now[k]; !still {
			text, _, _ := strings.Cut(k, "\x00")
			r.wakeRecord(ns.ParseRef(text))
		}
	}
}

// wakeRecord has a record's guest looked at. One of a source that is not known yet
// is left to the source, unless its ID is told.
func (r *run) wakeRecord(guest ns.Ref) {
	sources, name, id := r.sources(guest), guest.Base(), guest.ID
	if len(sources) == 0 {
		if r.Target != nil {
			r.wake(ref{nil, guest.String()})
		}
		return
	}
	for _, s := range sources {
		if id != "" {
			r.wake(ref{s, id})
		}
	}
	r.mu.Lock()
	var known []ref
	for k, g := range r.guests {
		if k.source != nil && (g.name == name || strings.HasPrefix(k.id, name)) {
			known = append(known, k)
		}
	}
	r.mu.Unlock()
	for _, k := range known {
		r.wake(k)
	}
}

// finish puts right what a killed call left of an interface that was typed before,
// so that it is plugged in as it was. One that is at work is waited for.
func (r *run) finish(ctx context.Context, g *guest, w *wish) error {
	if r.Store == nil || w.declared {
		return nil
	}
	now, err := r.Store.Get(w.record.Guest, w.record.Interface)
	if err != nil || now.Phase == keep.Attached {
		return nil
	}
	tool := r.tool
	tool.Target = func(ns.Ref) pipework.Target { return r.target(g.ref) }
	now, err = tool.Recover(ctx, w.record.Guest, w.record.Interface)
	if err == nil && (now == nil || now.Declared().Text() != w.text) {
		return errs.New(fs.ErrInvalid, "it was changed meanwhile") // whereof the Store tells
	}
	return err
}

// errDetached says that the record went while what it declares was plugged in.
var errDetached = errs.New(fs.ErrInvalid, "it was detached meanwhile")

// record writes down what was plugged in. What was detached meanwhile is taken
// away again.
func (r *run) record(p *plug) error {
	if r.Store == nil {
		return nil
	}
	w, rec := p.wish, *p.wish.record
	unlock, err := r.Store.Lock(r.ctx, rec.Guest, rec.Interface)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := r.Store.Get(rec.Guest, rec.Interface)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now != nil && now.Phase == keep.Intent && now.Before != nil {
		now = now.Before // of a call that was killed meanwhile: it holds on
	}
	switch {
	case !w.declared && (now == nil || now.Phase != keep.Attached):
		if err := r.Attacher.Detach(r.ctx, r.target(p.guest), p.spec); err != nil {
			return err
		}
		return errDetached
	case w.declared && now != nil && now.Source == keep.FromCommand:
		return nil // typed just now, and looked at next
	case p.made.Existed && tells(now, p):
		return nil
	case !w.declared:
		rec = *now
	}
	return r.Store.Put(rec.Reattached(p.declared, p.made))
}

// tells says whether the record has what was found plugged in.
func tells(r *keep.Record, p *plug) bool {
	return r != nil && r.Phase == keep.Attached && r.Attachment != nil && r.Guest.ID == cmp.Or(p.made.Guest.ID, r.Guest.ID) &&
		(!p.wish.declared || r.Declared().Text() == p.declared.Text())
}

// detached says whether the record of what was plugged in is gone, or about to go:
// only pipework detach takes it from a guest that runs.
func (r *run) detached(p *plug) bool {
	if r.Store == nil {
		return false
	}
	now, err := r.Store.Get(p.wish.record.Guest, p.wish.record.Interface)
	return errors.Is(err, fs.ErrNotExist) || err == nil && now.Phase == keep.Detaching
}

// prune removes the records of what containers declared that are no more.
func (r *run) prune() {
	if r.Store == nil {
		return
	}
	all, _, err := r.Store.All()
	for _, rec := range all {
		if rec.Source == keep.FromCommand || r.mayExist(&rec) {
			continue
		}
		err = errors.Join(err, r.Store.Delete(rec.Guest, rec.Interface))
	}
	if err != nil {
		r.warn("state", "error", err)
	}
}

// mayExist says whether the record's container may be there, running or not. Of
// one whose engine does not answer, or is not asked any more, nobody knows.
func (r *run) mayExist(rec *keep.Record) bool {
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	sources := r.sources(rec.Guest)
	for _, s := range sources {
		if _, err := s.Describe(ctx, rec.Guest.ID); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return len(sources) == 0
}
