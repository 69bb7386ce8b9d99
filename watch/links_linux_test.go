package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// TestLostEvents has events be lost: every guest is compared, and a link that is told of
// afterwards may be another one.
func TestLostEvents(t *testing.T) {
	q := newQueue(0, &metrics{})
	q.items = map[ref]*item{web: {}, db: {}}
	l, now := &links{known: map[string]known{"br1": {index: 7, carrier: true}}, wakes: wakes{}}, time.Now()
	br1 := rtnl.LinkEvent{Name: "br1", Index: 7, Up: true, Carrier: true}
	if l.kind(br1) != 0 {
		t.Error("the bridge counts as another one")
	}
	l.lost(q, now)
	if due := l.wakes.due(now.Add(firstWake)); !slices.Equal(due, []ref{db, web}) {
		t.Errorf("compared are %v", due)
	}
	if l.kind(br1) != beneath || l.kind(br1) != 0 {
		t.Error("the bridge does not count as another one, once")
	}
}

// TestCarrier has a pair's end on the host lose its carrier: for long, and so shortly that one
// event tells of both; a new one that has none yet counts, too.
func TestCarrier(t *testing.T) {
	l := &links{known: map[string]known{}, wakes: wakes{}}
	for i, step := range []struct {
		carrier bool
		downs   uint32
		wakes   bool
	}{
		{false, 0, true}, {true, 1, false}, {true, 1, false}, {true, 2, true}, {true, 2, false}, {false, 3, true}, {true, 3, false},
	} {
		e := rtnl.LinkEvent{Name: "veth1", Index: 7, Up: true, Carrier: step.carrier, Downs: step.downs}
		if got := l.kind(e)&hostEnd != 0; got != step.wakes {
			t.Errorf("step %d: wakes %v", i, got)
		}
	}
}
