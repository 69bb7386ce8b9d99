//go:build linux

package ovs_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ovs"
)

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
