//go:build linux

package ovs_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/pintest"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A scene is a bridge with a guest that is not trusted, and a neighbour that hears what leaves it.
type scene struct {
	t          *testing.T
	db         *ovstest.Database
	bridge     ovs.Bridge
	target, at ns.Named
	eve, near  *ns.Guest
	neighbour  pipework.Spec
	world      *nstest.World
}

func newScene(t *testing.T, d ovstest.Datapath, setting string) *scene {
	pintest.Unfiltered(t)
	s := &scene{t: t, db: ovstest.Start(t)}
	s.db.Switch(t, d, nil)
	s.db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type="+setting)
	s.bridge = ovs.Bridge{Name: "lan", Client: shared(t, s.db)}
	s.target, s.eve = nstest.Guest(t)
	s.at, s.near = nstest.Guest(t)
	s.world = nstest.Observe(t, s.eve.Handle, s.near.Handle)
	s.neighbour = pipework.Spec{Link: s.bridge, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24"), netip.MustParsePrefix("fd01::1/64")}}
	attach(t, s.at, s.neighbour)
	unchanged(t, s.db)
	return s
}

// spec is that of the guest that is not trusted.
func (s *scene) spec() pipework.Spec {
	return pipework.Spec{Link: s.bridge, MAC: pintest.EveMAC, Pin: true, Addrs: []netip.Prefix{netip.PrefixFrom(pintest.Eve4, 24), netip.PrefixFrom(pintest.Eve6, 64)}}
}

func (s *scene) isPinned(but ...string) {
	s.t.Helper()
	if got := pintest.Leaks(s.t, s.eve, s.near, pintest.Attacks()); len(got) > 0 {
		s.t.Errorf("heard: %q", got)
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(pintest.Honest())), func(name string) bool { return slices.Contains(but, name) })
	if diff := cmp.Diff(want, pintest.Leaks(s.t, s.eve, s.near, pintest.Honest())); diff != "" {
		s.t.Errorf("what has to pass (-sent +heard):\n%s", diff)
	}
}

// What does not pass although it would by a Linux bridge: see docs/spec.md.
var (
	igmp  = []string{"IGMP leave", "IGMP report", "IGMP report of version 2"}
	first = []string{"IPv6, fragments"}
)

// TestPin is that of Linux bridges: of a guest that is pinned only its own is heard.
func TestPin(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		s := newScene(t, d, setting)
		attach(t, s.target, s.spec())
		t.Log(s.db.Flows(t, "lan"))
		s.isPinned(append(first, igmp...)...)
		s.db.Ofctl(t, "set-frags", "lan", "nx-match")
		s.isPinned(igmp...)
		for _, to := range []string{"10.1.0.1", "fd01::1"} {
			nstest.Ping(t, s.eve.Handle, to)
		}
		for _, to := range []string{"10.1.0.66", "fd01::66"} {
			nstest.Ping(t, s.near.Handle, to)
		}
		detach(t, s.target, s.spec())
	})
}
