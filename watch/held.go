package watch

import (
	"sync"

	"github.com/go-pipework/pipework/keep"
)

// A held is what was read of the records when something changed in the Store last:
// every guest that is looked at asks for them.
type held struct {
	mu      sync.Mutex
	current bool
	records []keep.Record
}

// stale has the records be read again before they are used.
func (h *held) stale() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current = false
}

// records are those of the command line that hold. One that a killed call was
// about to replace holds on. They must not be changed. What was written by others
// a moment ago may not be among them yet: wakeRecords will be called.
func (r *run) records() ([]keep.Record, error) {
	if r.Store == nil {
		return nil, nil
	}
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	if r.held.current {
		return r.held.records, nil
	}
	all, damaged, err := r.Store.All()
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		r.metrics.add("damaged_total")
		r.warn("state", "error", d)
	}
	r.held.records = nil
	for _, rec := range all {
		if rec.Phase == keep.Intent && rec.Before != nil {
			rec = *rec.Before
		}
		if rec.Source == keep.FromCommand && rec.Phase == keep.Attached {
			r.held.records = append(r.held.records, rec)
		}
	}
	r.held.current = true
	return r.held.records, nil
}
