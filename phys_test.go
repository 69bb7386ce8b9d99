//go:build linux

package pipework_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// addPhys makes what stands in for a NIC: a veth, whose other end is up, or a
// dummy; up, with addresses, an altname, and an alias of its own.
func addPhys(t testing.TB, l netlink.Link, addrs ...string) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(h.LinkAdd(l))
	t.Cleanup(func() { del(t, l.Attrs().Name) })
	must(h.LinkSetMTU(l, 1400))
	must(h.LinkSetAlias(l, "uplink of the lab"))
	must(h.LinkAddAltName(l, "enp9s0f1"))
	must(h.LinkSetUp(l))
	for _, a := range append(addrs, "10.8.0.1/24", "10.8.1.1/24") {
		addr, err := netlink.ParseAddr(a)
		must(err)
		addr.Flags = unix.IFA_F_NODAD
		must(h.AddrAdd(l, addr))
	}
	if peer, err := h.LinkByName("wire"); err == nil {
		must(h.LinkSetUp(peer))
	}
}

func physVeth() netlink.Link {
	a := attrs("nic0")
	a.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 9, 9}
	return &netlink.Veth{LinkAttrs: a, PeerName: "wire", PeerHardwareAddr: net.HardwareAddr{2, 0, 0, 0, 9, 8}}
}

func TestContractPhys(t *testing.T) {
	contract.Run(t, contract.Case{Alone: true, Setup: func(t testing.TB) link.Backend {
		addPhys(t, physVeth())
		return link.Phys{Device: "nic0"}
	}})
}

func TestContractPhysDummy(t *testing.T) {
	needs(t, "dummy")
	contract.Run(t, contract.Case{Alone: true, Setup: func(t testing.TB) link.Backend {
		a := attrs("nic0")
		a.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 9, 9}
		addPhys(t, &netlink.Dummy{LinkAttrs: a})
		return link.Phys{Device: "nic0"}
	}})
}

// TestPhysUnderAnotherMAC gives the guest other settings than the host had.
func TestPhysUnderAnotherMAC(t *testing.T) {
	addPhys(t, physVeth(), "fd08::1/64")
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	s := pipework.Spec{Link: link.Phys{Device: "nic0"}, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, MTU: 1300, Addrs: []netip.Prefix{netip.MustParsePrefix("10.8.0.2/24")}}
	at := attach(t, target, s)
	if at.MAC.String() != "02:00:00:00:00:07" || at.MTU != 1300 || at.Name != "eth1" || at.Link != "phys:nic0" {
		t.Errorf("attached %+v", at)
	}
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestPhysNameTaken finds that somebody has taken the NIC's name on the host in
// the meantime.
func TestPhysNameTaken(t *testing.T) {
	addPhys(t, physVeth())
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Phys{Device: "nic0"}}
	world := nstest.Observe(t)
	attach(t, target, s)
	h := open(t, nil)
	thief := &netlink.Bridge{LinkAttrs: attrs("nic0")}
	if err := h.LinkAdd(thief); err != nil {
		t.Fatal(err)
	}
	_, err := pipework.Detach(t.Context(), target, s)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "has taken the name nic0") {
		t.Errorf("detach: %v", err)
	}
	if err := h.LinkDel(thief); err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	var steps []string
	ctx := fault.With(t.Context(), func(step string) error { steps = append(steps, step); return nil })
	if _, err := pipework.Detach(ctx, target, s); err != nil {
		t.Error(err)
	}
	if slices.Contains(steps, "look into every namespace") {
		t.Error("what a guest made on it was looked for again")
	}
	world.Unchanged(t)
}

// TestPhysComesHomeAlone has a guest put interfaces of its own on the NIC, one of which it
// moves on to another namespace: they do not stay on it. One of a neighbour's that was
// there before does.
func TestPhysComesHomeAlone(t *testing.T) {
	addPhys(t, physVeth())
	target, g := nstest.Guest(t)
	_, other := nstest.Guest(t)
	neighbour, beside := nstest.Guest(t)
	attach(t, neighbour, pipework.Spec{Link: link.Macvlan{Parent: "nic0"}})
	world := nstest.Observe(t, g.Handle, other.Handle, beside.Handle)
	attach(t, target, nic0)
	forging(t, g, "", func(f forger) {
		for _, name := range []string{"spy0", "spy1"} {
			a := attrs(name)
			a.ParentIndex = f.index
			f.must(f.LinkAdd(&netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}))
		}
		f.must(f.LinkSetNsFd(f.link("spy1"), int(other.NetNS())))
	})
	detach(t, target, nic0)
	world.Unchanged(t)
	detach(t, neighbour, pipework.Spec{})
}

// TestPhysComesHomeFromRestless has a guest rename what it put on the NIC, again and again,
// while the NIC comes home.
func TestPhysComesHomeFromRestless(t *testing.T) {
	addPhys(t, physVeth())
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	for range 10 {
		attach(t, target, nic0)
		h := open(t, g)
		eth1, err := h.LinkByName("eth1")
		must(t, err)
		spy := &netlink.Macvlan{LinkAttrs: attrs("spy"), Mode: netlink.MACVLAN_MODE_BRIDGE}
		spy.ParentIndex = eth1.Attrs().Index
		must(t, h.LinkAdd(spy))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; h.LinkSetName(spy, fmt.Sprintf("spy%d", n)) == nil; n++ {
			}
		}()
		detach(t, target, nic0)
		select {
		case <-ended: // the macvlan has
		case <-time.After(testwait.Patience):
			t.Fatal("the guest has a macvlan on the host's NIC")
		}
		_ = h.Close()
		world.Unchanged(t)
	}
}

// TestPhysStuckIsKept has a macvlan of the host's own, which cannot have its name back,
// bear what tells that the host may remove it: it is not removed.
func TestPhysStuckIsKept(t *testing.T) {
	for what, alias := range map[string]string{"its own mark": "", "another mark": "bridge:br9"} {
		t.Run(what, func(t *testing.T) {
			addPhys(t, physVeth())
			h := open(t, nil)
			defer func() { _ = h.Close() }()
			under, err := h.LinkByName("nic0")
			must(t, err)
			a := attrs("nic1")
			a.ParentIndex = under.Attrs().Index
			must(t, h.LinkAdd(&netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}))
			target, g := nstest.Guest(t)
			s := pipework.Spec{Link: link.Phys{Device: "nic1"}}
			attach(t, target, s)
			if alias != "" {
				forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
					f.must(f.LinkSetAlias(f.link("eth1"), strings.ReplaceAll(f.alias, "phys:nic1", alias)))
				})
			}
			thief := &netlink.Bridge{LinkAttrs: attrs("nic1")}
			must(t, h.LinkAdd(thief))
			if _, err := pipework.Detach(t.Context(), target, s); !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
			if _, err := pipework.Collect(t.Context()); !errors.Is(err, fs.ErrExist) {
				t.Error("collect:", err)
			}
			must(t, h.LinkDel(thief))
			detach(t, target, s)
			back, err := h.LinkByName("nic1")
			must(t, err)
			must(t, h.LinkDel(back))
		})
	}
}

func TestPhysRefused(t *testing.T) {
	addPhys(t, physVeth())
	target, g := nstest.Guest(t)
	h := open(t, nil)
	nic, err := h.LinkByName("nic0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: nic.Attrs().Index, Gw: net.ParseIP("10.8.0.254")}); err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	world := nstest.Observe(t, g.Handle)
	for device, want := range map[string]struct {
		class error
		text  string
	}{
		"nic0":   {fs.ErrPermission, "carries the host's default route"},
		"lo":     {fs.ErrInvalid, "loopback"},
		"nosuch": {fs.ErrNotExist, "no interface nosuch"},
	} {
		_, err := pipework.Attach(t.Context(), target, pipework.Spec{Link: link.Phys{Device: device}})
		if !errors.Is(err, want.class) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v", device, err)
		}
	}
	world.Unchanged(t)
}

// TestPhysGuestDies kills the guest that has a real NIC: the kernel returns it to
// the host under the guest's name for it, and it becomes what it was. Only the
// QEMU lane has NICs: a virtio one, and a radio whose phy has to move.
func TestPhysGuestDies(t *testing.T) {
	if os.Getenv("PIPEWORK_LANE") != "qemu" {
		t.Skip("no NIC here that outlives its namespace")
	}
	collected := func(ns.PID, pipework.Spec) error { _, err := pipework.Collect(t.Context()); return err }
	for _, nic := range []string{"eth0", "wlan0", "ib0"} {
		for how, back := range map[string]func(p ns.PID, s pipework.Spec) error{
			"collect":       collected,
			"unmarked":      collected,
			"detach":        func(p ns.PID, s pipework.Spec) error { _, err := pipework.Detach(t.Context(), p, s); return err },
			"while it runs": nil,
		} {
			t.Run(nic+" "+how, func(t *testing.T) {
				if nic == "eth0" {
					dress(t, nic)
				}
				world := nstest.Observe(t)
				p := nstest.Process(t)
				s := pipework.Spec{Link: link.Phys{Device: nic}, Name: "net7"}
				at := attach(t, ns.PID(p.PID), s)
				if at.Name != "net7" || at.Link != "phys:"+nic {
					t.Errorf("attached %+v", at)
				}
				if how == "unmarked" { // by the guest's root
					unmark(t, ns.PID(p.PID), "net7")
				}
				if back == nil {
					detach(t, ns.PID(p.PID), s)
				}
				if err := p.Kill(); err != nil {
					t.Fatal(err)
				}
				if back != nil {
					awaitReturn(t, "net7")
					if err := back(ns.PID(p.PID), s); err != nil {
						t.Error(err)
					}
				}
				world.Unchanged(t)
			})
		}
	}
}

// unmark takes the mark from an interface in a guest.
func unmark(t *testing.T, p ns.PID, name string) {
	t.Helper()
	g, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	h := open(t, g)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetAlias(l, ""); err != nil {
		t.Fatal(err)
	}
}

// dress gives the NIC an address and another MTU, once.
func dress(t *testing.T, name string) {
	t.Helper()
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr("10.8.0.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.LinkSetMTU(l, 1400), h.LinkSetUp(l), h.AddrReplace(l, addr)); err != nil {
		t.Fatal(err)
	}
}

// awaitReturn waits until the kernel has returned what was in a dead guest.
func awaitReturn(t *testing.T, name string) {
	t.Helper()
	testwait.Eventually(t, "the kernel returns "+name, func() bool {
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(links, func(l net.Interface) bool { return l.Name == name || strings.HasPrefix(l.Name, "dev") })
	})
}
