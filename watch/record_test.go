package watch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestUpdate has the record of what was attached be in every state that another process may
// have brought it to meanwhile.
func TestUpdate(t *testing.T) {
	guest := ns.Ref{Kind: ns.Docker, Name: "web", ID: "1"}
	declared := keep.Declared{Spec: pipework.Spec{Name: "eth1", Link: link.Bridge{Name: "br1"}}}
	record := func(change func(*keep.Record)) *keep.Record {
		r := &keep.Record{
			Guest: guest, Interface: "eth1", Spec: declared.Spec, Source: keep.FromCommand, Phase: keep.Attached,
			Attachment: &pipework.Attachment{Name: "eth1"},
		}
		change(r)
		return r
	}
	as := func(*keep.Record) {}
	phase := func(p keep.Phase) func(*keep.Record) { return func(r *keep.Record) { r.Phase = p } }
	fromLabel := func(r *keep.Record) { r.Source = keep.FromLabel }
	unmade := func(r *keep.Record) { r.Attachment = nil }
	typed, label := &desired{record: record(as)}, &desired{record: record(fromLabel), byContainer: true}
	const nothing, write = "nothing", "write"
	for _, row := range []struct {
		name    string
		now     *keep.Record // nil: there is none
		want    *desired
		existed bool
		do      string
	}{
		{"made anew", record(as), typed, false, write},
		{"found", record(as), typed, true, nothing},
		{"found, and never recorded as made", record(unmade), typed, true, write},
		{"found in the guest that took the name", record(func(r *keep.Record) { r.Guest.ID = "0" }), typed, true, write},
		{"the record is gone", nil, typed, true, nothing},
		{"the record is about to go", record(phase(keep.Detaching)), typed, true, nothing},
		{"somebody types it just now", record(phase(keep.Intent)), typed, true, nothing},
		{"somebody was killed who typed over it", record(func(r *keep.Record) { r.Phase, r.Before = keep.Intent, record(as) }), typed, true, nothing},
		{"a label's first", nil, label, false, write},
		{"a label's, found", record(fromLabel), label, true, nothing},
		{"a label's, found without a record", nil, label, true, write},
		{"another label's", record(func(r *keep.Record) { fromLabel(r); r.Spec.MTU = 1400 }), label, true, write},
		{"typed over a label meanwhile", record(as), label, false, nothing},
	} {
		t.Run(row.name, func(t *testing.T) {
			made := &pipework.Attachment{Name: "eth1", Existed: row.existed, Guest: ns.Identity{ID: "1"}}
			updated := update(row.now, &attachment{desired: row.want, declared: declared, made: made})
			got := nothing
			if updated != nil {
				got = write
				if updated.Guest.ID != "1" || updated.Attachment.Existed || updated.Phase != keep.Attached {
					t.Errorf("written: %+v", updated)
				}
				if diff := cmp.Diff(declared.Text(), updated.Declared().Text()); diff != "" {
					t.Errorf("written (-want +got):\n%s", diff)
				}
			}
			if got != row.do {
				t.Errorf("%s, want %s", got, row.do)
			}
		})
	}
}
