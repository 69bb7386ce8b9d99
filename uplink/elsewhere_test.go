//go:build linux

package uplink_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/uplink"
)

// TestElsewhere has a NIC that is under a bridge refused to others, with the undo as the way: what
// takes it from the bridge otherwise cuts the host off.
func TestElsewhere(t *testing.T) { sorts(t, testElsewhere) }

func testElsewhere(t *testing.T, as sort) {
	s := newScene(t)
	as.on(t, s)
	before := s.snapshot(t)
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	under := s.snapshot(t)
	refused := func(err error) {
		t.Helper()
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "nic0 is under br0: undo that first (pipework uplink --undo br0 nic0)") {
			t.Errorf("got %v", err)
		}
		s.unchanged(t, under)
	}
	plan := s.plan
	for _, bridge := range []string{"bridge:br1", uplink.ShimName("nic0")} {
		plan.Bridge = bridge
		_, err := uplink.Move(t.Context(), plan)
		refused(err)
	}
	sh := uplink.Shim{NIC: "nic0", Store: s.plan.Store, Host: s.host.Handle, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}}
	_, err := sh.Add(t.Context())
	refused(err)
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	undoAll(t, s)
	s.unchanged(t, before)
}
