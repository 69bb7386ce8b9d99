package watch

import (
	"context"
	"strings"
	"sync"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// records are what was read of the Store when something changed in there last: every
// guest that is reconciled asks for them.
type records struct {
	store   *keep.Store
	metrics *metrics
	log     logger

	mu    sync.Mutex
	valid bool
	read  []keep.Record
}

// invalidate has the records be read again before they are used.
func (r *records) invalidate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.valid = false
}

// current are the records of the command line that hold. One that a killed call was
// about to replace holds on. They must not be changed. What was written by others
// a moment ago may not be among them yet: the Store's changes will tell.
func (r *records) current(ctx context.Context) ([]keep.Record, error) {
	if r.store == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.valid {
		return r.read, nil
	}
	all, damaged, err := r.store.All()
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		r.metrics.add("damaged_total")
		r.log.warn(ctx, "state", "error", d)
	}
	r.read = nil
	for _, rec := range all {
		if rec.Phase == keep.Intent && rec.Before != nil {
			rec = *rec.Before
		}
		if rec.Source == keep.FromCommand && rec.Phase == keep.Attached {
			r.read = append(r.read, rec)
		}
	}
	r.valid = true
	return r.read, nil
}

// A recordFollower has guests reconciled whose records change.
type recordFollower struct {
	records *records
	queue   *queue
	sources []ns.Source
	others  bool // guests that no source tells of can be found, too
	log     logger

	mu   sync.Mutex
	seen map[string]string // the records that were seen last
}

// reconcile has those guests reconciled whose records have come, gone or changed
// since it was called last, as far as no source tells of their start.
func (f *recordFollower) reconcile(ctx context.Context) {
	f.records.invalidate()
	current, err := f.records.current(ctx)
	if err != nil {
		f.log.warn(ctx, "state", "error", err)
		return
	}
	now, guests := map[string]string{}, map[string]ns.Ref{}
	for _, r := range current {
		k := r.Guest.String() + "\x00" + r.Interface
		now[k], guests[k] = r.Declared().Text(), r.Guest
	}
	f.mu.Lock()
	before := f.seen
	f.seen = now
	f.mu.Unlock()
	for k, text := range now {
		if was, known := before[k]; !known || was != text {
			f.enqueue(ctx, guests[k])
		}
	}
	for k := range before {
		if _, still := now[k]; !still {
			text, _, _ := strings.Cut(k, "\x00")
			f.enqueue(ctx, ns.ParseRef(text))
		}
	}
}

// enqueue has a record's guest reconciled. One of a source that is not known yet
// is left to the source, unless its ID is told.
func (f *recordFollower) enqueue(ctx context.Context, guest ns.Ref) {
	sources := sourcesOf(f.sources, guest)
	if len(sources) == 0 {
		if f.others {
			f.queue.add(ctx, ref{nil, guest.String()})
		}
		return
	}
	for _, s := range sources {
		if guest.ID != "" {
			f.queue.add(ctx, ref{s, guest.ID})
		}
	}
	for _, k := range f.queue.named(guest.Base()) {
		f.queue.add(ctx, k)
	}
}
