//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// addWire makes two NICs of the host with a wire between them.
func addWire(t *testing.T) {
	t.Helper()
	onHost(t, func(h *netlink.Handle) {
		a := attrs("nic0")
		a.Flags = net.FlagUp
		v := &netlink.Veth{LinkAttrs: a, PeerName: "nic1"}
		must(t, h.LinkAdd(v))
		t.Cleanup(func() { del(t, "nic0") })
		peer, err := h.LinkByName("nic1")
		must(t, err)
		must(t, h.LinkSetUp(peer))
	})
}

// Guests in the same VLAN of a wire reach each other, and those in others do not.
func TestVLANCarriesTags(t *testing.T) {
	needs(t, "vlan")
	addWire(t)
	a, ga := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	c, gc := nstest.Guest(t)
	world := nstest.Observe(t, ga.Handle, gb.Handle, gc.Handle)
	s := pipework.Spec{Link: link.VLAN{Parent: "nic0", VLAN: 100}, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, MTU: 1400, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}
	at := attach(t, a, s)
	if at.MAC.String() != s.MAC.String() || at.MTU != 1400 || at.Link != "vlan:nic0@100" {
		t.Errorf("attached %+v", at)
	}
	at = plug(t, b, link.VLAN{Parent: "nic1", VLAN: 100}, "10.1.0.2/24")
	if at.MAC.String() != macOf(t, "nic1") || at.MTU != 1500 {
		t.Errorf("attached %+v, and the NIC has %s", at, macOf(t, "nic1"))
	}
	plug(t, c, link.VLAN{Parent: "nic1", VLAN: 200}, "10.1.0.3/24")
	nstest.Ping(t, gb.Handle, "10.1.0.1")
	nstest.Ping(t, ga.Handle, "10.1.0.2")
	nstest.NoPing(t, gc.Handle, "10.1.0.1")
	for _, guest := range []ns.Named{a, b, c} {
		unplug(t, guest, nil)
	}
	world.Unchanged(t)
}

// A VLAN that exists already is refused, whoever has it, with who that is.
func TestVLANIsTaken(t *testing.T) {
	needs(t, "vlan")
	nic := addNIC(t, "nic0")
	a, ga := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	addVLAN(t, "nic0.200", nic, 200)
	plug(t, a, link.VLAN{Parent: "nic0", VLAN: 100})
	plug(t, b, link.Macvlan{Parent: "nic0", VLAN: 300})
	world := nstest.Observe(t, ga.Handle, gb.Handle)
	for _, c := range []struct {
		link link.Backend
		says string
	}{
		{link.VLAN{Parent: "nic0", VLAN: 100}, "VLAN 100 of nic0 exists already, eth1 in netns:" + string(a)},
		{link.Macvlan{Parent: "nic0", VLAN: 100}, "VLAN 100 of nic0 exists already, eth1 in netns:" + string(a)},
		{link.VLAN{Parent: "nic0", VLAN: 200}, "--direct-phys nic0.200"},
		{link.VLAN{Parent: "nic0", VLAN: 300}, "nic0.300 on the host, which pipework made"},
	} {
		_, err := pipework.Attach(t.Context(), b, pipework.Spec{Link: c.link, Name: "eth2"})
		if !errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.link, err, c.says)
		}
	}
	if _, err := pipework.Attach(t.Context(), a, pipework.Spec{Link: link.VLAN{Parent: "nic0", VLAN: 101}}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another VLAN under the same name: %v", err)
	}
	world.Unchanged(t)
	unplug(t, a, nil)
	unplug(t, b, nil)
}

// The kernel frees the VLAN of a guest that died.
func TestVLANGoesWithItsGuest(t *testing.T) {
	needs(t, "vlan")
	addNIC(t, "nic0")
	vlan := link.VLAN{Parent: "nic0", VLAN: 100}
	a, _ := nstest.Guest(t)
	world := nstest.Observe(t)
	p := nstest.Process(t)
	plug(t, ns.PID(p.PID), vlan)
	_ = p.Kill()
	testwait.Eventually(t, "the VLAN is free", func() bool {
		_, err := pipework.Attach(t.Context(), a, pipework.Spec{Link: vlan})
		return err == nil
	})
	unplug(t, ns.PID(p.PID), vlan) // of which nothing is left
	if at, err := pipework.Check(t.Context(), a, pipework.Spec{Link: vlan}); err != nil || len(at.Drifts) > 0 {
		t.Errorf("check: %+v, %v", at, err)
	}
	unplug(t, a, nil)
	world.Unchanged(t)
}

// A parent that is down is set up, and neither an undo nor Collect takes it away from
// under a guest, although the kernel does not show the host who stands on it.
func TestVLANKeepsItsParent(t *testing.T) {
	needs(t, "vlan")
	nic := addNIC(t, "nic0")
	a, _ := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	on := host(t)
	world := nstest.Observe(t, gb.Handle)
	onHost(t, func(h *netlink.Handle) { must(t, h.LinkSetDown(nic)) })
	bad := failing{link.Macvlan{Parent: "nic0"}, func() { plug(t, b, link.VLAN{Parent: "nic0", VLAN: 100}, "10.1.0.1/24") }}
	if _, err := pipework.Attach(t.Context(), a, pipework.Spec{Link: bad}); !errors.Is(err, errFailing) {
		t.Errorf("attach: %v", err)
	}
	if l, err := net.InterfaceByName("nic0"); err != nil || l.Flags&net.FlagUp == 0 {
		t.Errorf("the parent was set down under a guest: %+v, %v", l, err)
	}
	onHost(t, func(h *netlink.Handle) { must(t, h.LinkSetDown(nic)) })
	at, err := pipework.Check(t.Context(), b, pipework.Spec{})
	if err != nil || !slices.Contains(at.Drifts, "nic0 on the host is down") {
		t.Errorf("check: %+v, %v", at, err)
	}
	if again := plug(t, b, link.VLAN{Parent: "nic0", VLAN: 100}, "10.1.0.1/24"); len(again.Mended) == 0 {
		t.Errorf("mended: %+v", again)
	}
	unplug(t, b, nil)

	plug(t, a, link.Macvlan{Parent: "nic0", VLAN: 5})
	plug(t, b, link.VLAN{Parent: "nic0.5", VLAN: 6})
	unplug(t, a, nil)
	if removed, err := link.Collect(t.Context(), on); err != nil || len(removed) > 0 || !exists("nic0.5") {
		t.Errorf("removed under a guest: %q, %v", removed, err)
	}
	unplug(t, b, nil)
	if removed, err := link.Collect(t.Context(), on); err != nil || !slices.Equal(contract.Names(removed), []string{"nic0.5"}) {
		t.Errorf("collected %q, %v", removed, err)
	}
	world.Unchanged(t)
}

// What a killed call left on the host, on its way into a guest, holds the VLAN: whoever
// asks for that next is not kept from it, and Collect finds it.
func TestVLANLeftByAKilledCall(t *testing.T) {
	needs(t, "vlan")
	nic := addNIC(t, "nic0")
	a, ga := nstest.Guest(t)
	on := host(t)
	world := nstest.Observe(t, ga.Handle)
	left := func() {
		addVLAN(t, "pwdead", nic, 100)
		onHost(t, func(h *netlink.Handle) {
			l, err := h.LinkByName("pwdead")
			must(t, err)
			must(t, h.LinkSetAlias(l, link.Mark{Link: "vlan:nic0@100", Interface: "eth1"}.String()))
		})
	}
	collect := func(names ...string) {
		t.Helper()
		if removed, err := link.Collect(t.Context(), on); err != nil || !slices.Equal(contract.Names(removed), names) {
			t.Errorf("collected %q, %v, want %q", removed, err, names)
		}
	}
	left()
	collect("pwdead")
	left()
	plug(t, a, link.VLAN{Parent: "nic0", VLAN: 100})
	unplug(t, a, nil)
	world.Unchanged(t)
	left()
	plug(t, a, link.Macvlan{Parent: "nic0", VLAN: 100})
	collect()
	unplug(t, a, nil)
	collect("pwdead")
	world.Unchanged(t)
}
