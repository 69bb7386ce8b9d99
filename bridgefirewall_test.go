//go:build linux

package pipework_test

import (
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/link/firewall"
	"github.com/go-pipework/pipework/ns"
)

// TestFirewallRuleOfForeignBridge: the rule that lets frames pass within somebody
// else's bridge goes with the last guest of ours, however that ends, or with the bridge.
func TestFirewallRuleOfForeignBridge(t *testing.T) {
	host := dockerHost(t)
	if host == nil {
		t.Skip("the kernel has no br_netfilter")
	}
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("wan")})
	rules := func(want ...string) {
		t.Helper()
		got, err := firewall.Bridges(t.Context(), host.Do)
		must(t, err)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("rules for %q, want %q", got, want)
		}
	}
	spec := func(bridge string) pipework.Spec {
		return pipework.Spec{Link: link.Bridge{Name: bridge, Firewall: link.FirewallAccept}}
	}
	attach := func(target pipework.Target, bridge string) {
		t.Helper()
		_, err := pipework.Attach(t.Context(), target, spec(bridge))
		must(t, err)
	}
	collect := func(want ...string) {
		t.Helper()
		would, err := pipework.Orphans(t.Context())
		must(t, err)
		did, err := pipework.Collect(t.Context())
		if must(t, err); !slices.Equal(contract.Names(would), want) || !slices.Equal(contract.Names(did), want) {
			t.Errorf("collect: would %q, did %q, want %q", would, did, want)
		}
	}
	a, _ := nstest.Guest(t)
	b, _ := nstest.Guest(t)

	attach(a, "lan")
	attach(b, "lan")
	rules("lan")
	detach(t, a, spec("lan"))
	rules("lan")
	detach(t, b, spec("lan"))
	rules()

	// The guest dies.
	p := nstest.Process(t)
	attach(ns.PID(p.PID), "lan")
	attach(a, "wan")
	collect()
	must(t, p.Kill())
	lan, err := netlink.LinkByName("lan")
	must(t, err)
	testwait.Eventually(t, "no port of lan", func() bool { // the kernel takes a dead guest apart in its own time
		links, err := netlink.LinkList()
		return err == nil && !slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().MasterIndex == lan.Attrs().Index })
	})
	rules("lan", "wan")
	collect("lan")
	rules("wan")
	detach(t, a, spec("wan"))
	rules()

	// The bridge is removed under its guest.
	dmz := &netlink.Bridge{LinkAttrs: attrs("dmz")}
	must(t, netlink.LinkAdd(dmz))
	attach(a, "dmz")
	rules("dmz")
	must(t, netlink.LinkDel(dmz))
	collect("dmz")
	rules()
	detach(t, a, spec("dmz"))
}
