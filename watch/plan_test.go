package watch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlan has one interface, eth1, observed in every way that counts, and what is desired
// for it: nothing, what was typed, or what the container declares itself.
func TestPlan(t *testing.T) {
	typed, retyped := &desired{text: "typed"}, &desired{text: "typed otherwise"}
	label := &desired{text: "label", byContainer: true}
	byTyped, byLabel := status{text: "typed"}, status{text: "label", byContainer: true}
	with := func(s status, change func(*status)) *status {
		change(&s)
		return &s
	}
	restarted := func(s *status) { s.restarted = true }
	lost := func(s *status) { s.lost = true }
	orphaned := func(s *status) { s.lost, s.orphaned = true, true }
	for _, row := range []struct {
		name     string
		is       *status // nil: it is not attached
		detached bool
		want     *desired
		do       verb // "": nothing
	}{
		{"nothing is there, nothing desired", nil, false, nil, ""},
		{"detached, and nothing is desired", nil, true, nil, ""},
		{"new", nil, false, typed, attach},
		{"new label", nil, false, label, attach},
		{"detached before, and typed again", nil, true, typed, attach},
		{"the label of what was detached", nil, true, label, hold},

		{"as desired", &byTyped, false, typed, retain},
		{"as the label says", &byLabel, false, label, retain},
		{"changed", &byTyped, false, retyped, mend},
		{"typed over a label", &byLabel, false, typed, mend},
		{"its record is gone", &byTyped, false, nil, release},
		{"its label is not permitted any more", &byLabel, false, nil, release},
		{"what was typed over a label was detached", &byTyped, false, label, hold},

		{"the guest has started", with(byTyped, restarted), false, typed, mend},
		{"the guest of a label has started", with(byLabel, restarted), false, label, mend},
		{"the guest has started, and a label is left", with(byTyped, restarted), false, label, mend},
		{"the guest has started, and nothing is desired", with(byTyped, restarted), false, nil, release},
		{"the guest has started, which a program works in", with(byTyped, func(s *status) { s.restarted, s.program = true, true }), false, typed, retain},
		{"a program works by other words", with(byTyped, func(s *status) { s.program = true }), false, retyped, mend},

		{"lost", with(byTyped, lost), false, typed, mend},
		{"lost, of a label", with(byLabel, lost), false, label, mend},
		{"lost, and not desired", with(byTyped, lost), false, nil, release},
		{"a label's is about to be detached", with(byLabel, func(s *status) { s.drift, s.orphaned = "down", true }), false, label, hold},
		{"a label's was detached", with(byLabel, orphaned), false, label, hold},
		{"it was detached, and typed again", with(byTyped, orphaned), false, typed, mend},
		{"detached before the guest started", with(byLabel, func(s *status) { orphaned(s); restarted(s) }), false, label, mend},

		{"drifted", with(byTyped, func(s *status) { s.drift = "down" }), false, typed, mend},
		{"drifted, and changed", with(byTyped, func(s *status) { s.drift = "down" }), false, retyped, mend},
		{"drifted, where a program works", with(byTyped, func(s *status) { s.drift, s.program = "down", true }), false, typed, retain},
		{"drifted, and not desired", with(byTyped, func(s *status) { s.drift = "down" }), false, nil, release},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, want := observed{attached: map[string]status{}, detached: map[string]bool{"eth1": row.detached}}, map[string]*desired{}
			if row.is != nil {
				o.attached["eth1"] = *row.is
			}
			if row.want != nil {
				want["eth1"] = row.want
			}
			expected := []action{}
			if row.do != "" {
				expected = append(expected, action{"eth1", row.do})
			}
			if diff := cmp.Diff(expected, plan(o, want), cmp.AllowUnexported(action{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanOfSeveral has interfaces planned in the order of their names, each by itself.
func TestPlanOfSeveral(t *testing.T) {
	o := observed{
		attached: map[string]status{"eth2": {text: "b"}, "eth1": {text: "a"}, "eth9": {text: "z"}},
		detached: map[string]bool{"eth3": true},
	}
	want := map[string]*desired{
		"eth4": {text: "d"}, "eth3": {text: "c", byContainer: true}, "eth2": {text: "other"}, "eth1": {text: "a"},
	}
	expected := []action{{"eth1", retain}, {"eth2", mend}, {"eth3", hold}, {"eth4", attach}, {"eth9", release}}
	if diff := cmp.Diff(expected, plan(o, want), cmp.AllowUnexported(action{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
