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
	l, now := &links{indexes: map[string]int{"br1": 7}, wakes: wakes{}}, time.Now()
	br1 := rtnl.LinkEvent{Name: "br1", Index: 7, Up: true}
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
