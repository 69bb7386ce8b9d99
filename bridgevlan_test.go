//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// needFiltering skips the test where bridges know no VLANs, except in the lane
// whose kernel is there for that.
func needFiltering(t testing.TB) {
	t.Helper()
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Bridge{Name: "br-probe", VLAN: 7}}
	_, err := pipework.Attach(t.Context(), target, s)
	switch {
	case err == nil:
		if _, err := pipework.Detach(t.Context(), target, s); err != nil {
			t.Fatal(err)
		}
	case errors.Is(err, errors.ErrUnsupported) && os.Getenv("PIPEWORK_LANE") != "uml":
		if !strings.Contains(err.Error(), "CONFIG_BRIDGE_VLAN_FILTERING") {
			t.Errorf("the error does not name what the kernel lacks: %v", err)
		}
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

func TestContractBridgeVLAN(t *testing.T) {
	needFiltering(t)
	for name, backend := range map[string]link.Bridge{
		"made":  {Name: "br1", VLAN: 100, Trunks: []int{7, 8}, Hairpin: true},
		"there": {Name: "lan", VLAN: 100},
	} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, contract.Case{Peers: true, Setup: func(t testing.TB) link.Backend {
				if backend.Name == "lan" {
					on := true
					addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan"), VlanFiltering: &on})
				}
				return backend
			}})
		})
	}
}

// plugAll plugs one guest into each of the backends, with the addresses 10.3.0.1
// and so on.
func plugAll(t *testing.T, backends ...link.Bridge) []*ns.Guest {
	t.Helper()
	guests := make([]*ns.Guest, len(backends))
	for i, b := range backends {
		var target ns.Named
		target, guests[i] = nstest.Guest(t)
		s := pipework.Spec{Link: b, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 3, 0, byte(i + 1)}), 24)}}
		attach(t, target, s)
		t.Cleanup(func() {
			if _, err := pipework.Detach(context.WithoutCancel(t.Context()), target, s); err != nil {
				t.Error(err)
			}
		})
	}
	return guests
}

func TestVLANsAreApart(t *testing.T) {
	needFiltering(t)
	g := plugAll(t, link.Bridge{Name: "br1", VLAN: 100}, link.Bridge{Name: "br1", VLAN: 100}, link.Bridge{Name: "br1", VLAN: 200}, link.Bridge{Name: "br1"})
	nstest.Ping(t, g[0].Handle, "10.3.0.2")
	nstest.NoPing(t, g[0].Handle, "10.3.0.3")
	nstest.NoPing(t, g[0].Handle, "10.3.0.4")
	nstest.NoPing(t, g[3].Handle, "10.3.0.1")
}

// TestTrunk gives one guest VLAN 100 tagged, which it takes apart by itself.
func TestTrunk(t *testing.T) {
	needFiltering(t)
	g := plugAll(t, link.Bridge{Name: "br1", VLAN: 100}, link.Bridge{Name: "br1", Trunks: []int{100, 200}})
	nstest.NoPing(t, g[0].Handle, "10.3.0.2")
	h := handle(t, g[1])
	eth1, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	a := attrs("eth1.100")
	a.ParentIndex = eth1.Attrs().Index
	vlan := &netlink.Vlan{LinkAttrs: a, VlanId: 100}
	if err := h.LinkAdd(vlan); err != nil {
		t.Fatal(err)
	}
	was, err := nstest.Whole(func() ([]netlink.Addr, error) { return h.AddrList(eth1, netlink.FAMILY_V4) })
	if err != nil || len(was) != 1 {
		t.Fatal(was, err)
	}
	addr, err := netlink.ParseAddr("10.3.0.77/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.AddrDel(eth1, &was[0]), h.AddrAdd(vlan, addr), h.LinkSetUp(vlan)); err != nil {
		t.Fatal(err)
	}
	nstest.Ping(t, g[0].Handle, "10.3.0.77")
}

func TestIsolated(t *testing.T) {
	g := plugAll(t, link.Bridge{Name: "br1", Isolated: true}, link.Bridge{Name: "br1", Isolated: true}, link.Bridge{Name: "br1"})
	nstest.NoPing(t, g[0].Handle, "10.3.0.2")
	nstest.Ping(t, g[0].Handle, "10.3.0.3")
	nstest.Ping(t, g[2].Handle, "10.3.0.2")
}

// TestIsolatedByAdministrator has an administrator isolate a port that is only asked to
// send back what came in: that is no drift, and stays.
func TestIsolatedByAdministrator(t *testing.T) {
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Bridge{Name: "br1", Hairpin: true}}
	port, err := netlink.LinkByName(attach(t, target, s).HostName)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(netlink.LinkSetIsolated(port, true), netlink.LinkSetHairpin(port, false)); err != nil {
		t.Fatal(err)
	}
	at, err := pipework.Check(t.Context(), target, s)
	if err != nil || len(at.Drifts) != 1 {
		t.Errorf("%+v, %v", at, err)
	}
	attach(t, target, s)
	is, err := netlink.LinkGetProtinfo(port)
	if err != nil || !is.Isolated || !is.Hairpin {
		t.Errorf("%+v, %v", is, err)
	}
	detach(t, target, s)
}

// TestVLANOnPlainBridge is refused with the command that would permit it.
func TestVLANOnPlainBridge(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	_, err := pipework.Attach(t.Context(), target, pipework.Spec{Link: link.Bridge{Name: "lan", VLAN: 100}})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "ip link set lan type bridge vlan_filtering 1") {
		t.Errorf("attach: %v", err)
	}
	world.Unchanged(t)
}
