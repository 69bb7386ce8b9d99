//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
)

// spanningTree has ports of a bridge listen, and learn, for some seconds each.
func spanningTree(t *testing.T, bridge, delay string) {
	t.Helper()
	for file, value := range map[string]string{"stp_state": "1", "forward_delay": delay + "00"} {
		if err := writeBridge(bridge, file, value); err != nil {
			t.Skip("no sysfs in the sandbox:", err)
		}
	}
}

// heardOn listens on an interface here for gratuitous ARP; the result says whether some
// came for the address.
func heardOn(t *testing.T, name string, a netip.Addr) (heard func() bool) {
	t.Helper()
	br, err := netlink.LinkByName(name)
	must(t, err)
	must(t, netlink.AddrAdd(br, &netlink.Addr{IPNet: &net.IPNet{IP: net.IP{10, 1, 0, 254}, Mask: net.CIDRMask(24, 32)}})) // package arp wants one
	l, err := net.InterfaceByName(name)
	must(t, err)
	client, err := arp.Dial(l)
	must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return func() bool {
		must(t, client.SetReadDeadline(time.Now().Add(time.Second)))
		for {
			p, _, err := client.Read()
			if err != nil {
				return false
			}
			if p.SenderIP == a && p.TargetIP == a {
				return true
			}
		}
	}
}

// TestSpanningTree plugs into a bridge whose port listens and learns for four seconds: the
// address is announced once the port forwards, and that it took a while is said.
func TestSpanningTree(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	spanningTree(t, "lan", "2")
	heard := heardOn(t, "lan", netip.MustParseAddr("10.1.0.2"))
	target, _ := nstest.Guest(t)
	at := attach(t, target, spec("", "lan", "10.1.0.2/24"))
	if len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "(spanning tree)") {
		t.Errorf("warnings: %q", at.Warnings)
	}
	if !heard() {
		t.Error("nobody heard of the address")
	}
	detach(t, target, pipework.Spec{})
}

// TestBridgeIsDown plugs into a bridge that is down, which no spanning tree will end: that
// is waited for a moment only.
func TestBridgeIsDown(t *testing.T) {
	br := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	must(t, netlink.LinkSetDown(br))
	target, _ := nstest.Guest(t)
	start := time.Now()
	at := attach(t, target, spec("", "lan", "10.1.0.2/24"))
	if want := "frames do not pass yet: the bridge that " + at.HostName + " is a port of is down"; !slices.Contains(at.Warnings, want) {
		t.Errorf("warnings: %q", at.Warnings)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	detach(t, target, pipework.Spec{})
}

// TestSpanningTreeGivenUp ends before the port forwards: the error says so.
func TestSpanningTreeGivenUp(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	spanningTree(t, "lan", "15")
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	static := spec("", "lan", "10.1.0.2/24")
	for name, s := range map[string]pipework.Spec{
		"static": static,
		"DHCP":   {Link: static.Link, DHCP: new(dhcp.Config)},
		"SLAAC":  {Link: static.Link, SLAAC: true},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := pipework.Attach(ctx, target, s)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "is not forwarding yet (spanning tree)") {
			t.Errorf("%s: %v", name, err)
		}
		world.Unchanged(t)
	}
}

// TestSpanningTreeDHCP has the server asked once the port forwards, which takes longer than
// the server is waited for.
func TestSpanningTreeDHCP(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.SpanningTree(t, 6)
	dhcptest.Dnsmasq(t)
	target, _ := nstest.Guest(t)
	at := attach(t, target, dhcpSpec())
	if at.Lease == nil || len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "(spanning tree)") {
		t.Errorf("%+v", at)
	}
	detach(t, target, dhcpSpec())
}

// TestDHCPBehindFirewall has no server answer, on a bridge within which the firewall drops
// frames: the error says what a warning would have said, also that of a call which mends.
func TestDHCPBehindFirewall(t *testing.T) {
	if dockerHost(t) == nil {
		t.Skip("the kernel has no br_netfilter")
	}
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	s := spec("", "lan", "10.1.0.2/24")
	static := attach(t, target, s)
	if len(static.Warnings) != 1 {
		t.Fatalf("warnings: %q", static.Warnings)
	}
	detach(t, target, s)
	leased := pipework.Spec{Link: s.Link, DHCP: &dhcp.Config{Tries: 1, Timeout: 100 * time.Millisecond}}
	_, err := pipework.Attach(t.Context(), target, leased)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), static.Warnings[0]) {
		t.Errorf("%v; want %q", err, static.Warnings[0])
	}
	world.Unchanged(t)
}
