//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ovs"
)

// TestSpanningTree plugs into bridges whose ports do not forward for some seconds: the
// address is announced once the port does.
func TestSpanningTree(t *testing.T) {
	for _, tree := range []string{"stp_enable", "rstp_enable"} {
		t.Run(tree, func(t *testing.T) {
			db := ovstest.Start(t)
			db.Switch(t, ovstest.Userspace, nil)
			db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type=netdev", tree+"=true", "other_config:stp-forward-delay=4", "other_config:stp-max-age=6", "other_config:stp-hello-time=1")
			target, guest := nstest.Guest(t)
			s := spec(ovs.Bridge{Name: "lan", HostName: "vport", Client: shared(t, db)}, "10.1.0.2/24")
			heard := heardOn(t, "lan", netip.MustParseAddr("10.1.0.2"))
			at, err := pipework.Attach(t.Context(), target, s)
			if err != nil {
				t.Fatal(err)
			}
			if len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "the Open vSwitch port vport is not forwarding yet (spanning tree)") {
				t.Errorf("warnings: %q", at.Warnings)
			}
			heard()
			detach(t, target, s)
			world := nstest.Observe(t, guest.Handle)
			leased := s
			leased.Addrs, leased.DHCP = nil, new(dhcp.Config)
			for _, s := range []pipework.Spec{s, leased} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := pipework.Attach(ctx, target, s)
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "(spanning tree)") {
					t.Error(err)
				}
				world.Unchanged(t)
			}
		})
	}
}

// TestSpanningTreeLeftOut plugs into a port that takes no part in the spanning tree: it
// forwards at once.
func TestSpanningTreeLeftOut(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	db.Vsctl(t, "set", "bridge", "lan", "stp_enable=true")
	target, _ := nstest.Guest(t)
	s := spec(ovs.Bridge{Name: "lan", OtherConfig: map[string]string{"stp-enable": "false"}, Client: c}, "10.1.0.2/24")
	attach(t, target, s)
	detach(t, target, s)
}

// heardOn listens on an interface here for gratuitous ARP; heard fails the test unless some
// comes for the address.
func heardOn(t *testing.T, name string, a netip.Addr) (heard func()) {
	t.Helper()
	br, err := netlink.LinkByName(name)
	if err == nil {
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.IP{10, 1, 0, 254}, Mask: net.CIDRMask(24, 32)}} // package arp wants one
		err = errors.Join(netlink.AddrAdd(br, addr), netlink.LinkSetUp(br))
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	client, err := arp.Dial(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return func() {
		t.Helper()
		if err := client.SetReadDeadline(time.Now().Add(testwait.Patience / 10)); err != nil {
			t.Fatal(err)
		}
		for {
			p, _, err := client.Read()
			if err != nil {
				t.Error("nobody heard of the address:", err)
				return
			}
			if p.SenderIP == a && p.TargetIP == a {
				return
			}
		}
	}
}
