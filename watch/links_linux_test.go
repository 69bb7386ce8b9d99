package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// TestLostEvents has events be lost: every guest is compared, and the links are read again, so
// that later events of new ones, and of a renamed one, are known to be theirs.
func TestLostEvents(t *testing.T) {
	q := newQueue(0, &metrics{})
	q.items = map[ref]*item{web: {}, db: {}}
	_, g := nstest.Guest(t)
	l, err := newLinks(t.Context(), g.Handle)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	host := inside(t, g.Handle)
	if err := host.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth1"}, PeerName: "veth2"}); err != nil {
		t.Fatal(err)
	}
	veth1, err := host.LinkByName("veth1")
	if err != nil {
		t.Fatal(err)
	}
	removed := rtnl.LinkEvent{Index: veth1.Attrs().Index, Unfiltered: true}
	if name, _ := l.about(removed); name != "" {
		t.Errorf("%s is known too early", name)
	}
	now := time.Now()
	l.lost(t.Context(), q, now)
	if due := l.wakes.due(now.Add(firstWake)); !slices.Equal(due, []ref{db, web}) {
		t.Errorf("compared are %v", due)
	}
	if name, kind := l.about(removed); name != "veth1" || kind != hostEnd {
		t.Errorf("a filter's end is about %q, %v", name, kind)
	}
	l.kind(rtnl.LinkEvent{Name: "veth7", Index: removed.Index, Up: true})
	for range 20 { // a map has no order
		if name, _ := l.about(removed); name != "veth7" {
			t.Fatalf("renamed, a filter's end is about %q", name)
		}
	}
}

func inside(t *testing.T, h *ns.Handle) (n *netlink.Handle) {
	t.Helper()
	err := h.Do(t.Context(), func() (err error) {
		n, err = netlink.NewHandle()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
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
