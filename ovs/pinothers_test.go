//go:build linux

package ovs_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ovs"
)

// TestPinsOfAlikeNames pins two guests whose users chose names for their ends on the host that
// have the same 48 bits of FNV-1a: each keeps its flows, also when the other one goes.
func TestPinsOfAlikeNames(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	one, _ := nstest.Guest(t)
	other, _ := nstest.Guest(t)
	spec := func(hostName, addr string) pipework.Spec {
		return pipework.Spec{Link: ovs.Bridge{Name: "lan", HostName: hostName, Client: c}, Pin: true, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
	}
	first, second := spec("pw-ip41ffykhimw", "10.1.0.1/24"), spec("pw-zkwcwz2ea5zp", "10.1.0.2/24")
	attach(t, one, first)
	attach(t, other, second)
	sources := func() []string {
		all := regexp.MustCompile("nw_src=10[0-9.]+").FindAllString(db.Flows(t, "lan"), -1)
		slices.Sort(all)
		return all
	}
	if got := sources(); !slices.Equal(got, []string{"nw_src=10.1.0.1", "nw_src=10.1.0.2"}) {
		t.Errorf("both are pinned, with flows of %q", got)
	}
	for target, s := range map[pipework.Target]pipework.Spec{one: first, other: second} {
		if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) > 0 {
			t.Errorf("check: %+v, %v", at, err)
		}
	}
	detach(t, other, second)
	if got := sources(); !slices.Equal(got, []string{"nw_src=10.1.0.1"}) {
		t.Errorf("one is pinned, with flows of %q", got)
	}
	detach(t, one, first)
}

// TestPinBesideOlderOpenFlow has bridges that do not speak our version: they keep nobody from
// collecting what is left in others, and no port from being removed.
func TestPinBesideOlderOpenFlow(t *testing.T) {
	db, c := dummy(t)
	c.LookAgainAfter(1)
	addBridge(t, db, "a-former")
	addBridge(t, db, "lan")
	db.Vsctl(t, "set", "bridge", "a-former", "protocols=OpenFlow13")
	target, _ := nstest.Guest(t)
	spec := pipework.Spec{Link: ovs.Bridge{Name: "lan", Client: c}, Pin: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}
	db.Vsctl(t, "del-port", attach(t, target, spec).HostName)
	h := host(t)
	h.Warn = func(text string) { t.Error("warning:", text) }
	if _, err := c.Collect(t.Context(), h); err != nil {
		t.Error(err)
	}
	if got := db.Flows(t, "lan"); strings.Contains(got, "cookie=0x7069") {
		t.Errorf("flows are left of a port that was removed:\n%s", got)
	}
	attach(t, target, spec)
	db.Vsctl(t, "set", "bridge", "lan", "protocols=OpenFlow13")
	detach(t, target, spec)
}
