package watch

import (
	"maps"
	"slices"
)

// observed is what is known of a guest's interfaces.
type observed struct {
	attached map[string]status // what was attached, by the interface's name
	detached map[string]bool   // what somebody has detached since the guest's start
}

// A status is how one attached interface is.
type status struct {
	text        string // of the declaration that it was attached by
	byContainer bool   // which was the container's own
	program     bool   // a DHCP client program keeps its lease: another one would begin by taking the address away
	restarted   bool   // the guest may have started since it was attached
	lost        bool   // it, or its lease, is no more
	orphaned    bool   // it is lost, or has drifted, and its record is gone, too
	drift       string // how it differs from what is declared, and was not mended for yet: what comes back is left so
}

// A verb is what to do about one interface.
type verb string

const (
	attach  verb = "attach"
	mend    verb = "mend"    // attach what was attached before: what differs is mended, what is gone is made
	retain  verb = "keep"    // it is as desired
	release verb = "release" // it is not desired any more: whoever took its record away has detached it
	hold    verb = "hold"    // somebody has detached it: what the container declares waits for its next start
)

// An action is what to do about one interface of a guest.
type action struct {
	name string
	verb verb
}

// plan compares what is observed with what is desired, and returns what is to be done, in
// the order of the interfaces' names.
func plan(o observed, want map[string]*desired) []action {
	names := slices.Collect(maps.Keys(want))
	for name := range o.attached {
		if want[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	actions := make([]action, 0, len(names))
	for _, name := range names {
		actions = append(actions, action{name, o.decide(name, want[name])})
	}
	return actions
}

// decide is plan for one interface that is attached, or desired.
func (o observed) decide(name string, want *desired) verb {
	is, attached := o.attached[name]
	stale := is.restarted && !is.program
	switch {
	case want == nil:
		return release
	case attached && !stale && !is.lost && is.text == want.text && !is.mendable():
		return retain
	case want.byContainer && (o.detached[name] || attached && !stale && is.detachedBefore(want)):
		return hold
	case attached:
		return mend
	default:
		return attach
	}
}

// mendable says whether the interface differs from what is declared as it did not yet. A
// program at work sees to its interface itself.
func (s status) mendable() bool { return s.drift != "" && !s.program }

// detachedBefore says whether somebody has detached the interface: its record is gone, or
// of one that was typed over the container's declaration only that is left.
func (s status) detachedBefore(want *desired) bool {
	return s.orphaned || !s.byContainer && s.text != want.text
}
