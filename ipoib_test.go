//go:build linux

package pipework_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestIPoIBContract runs the contract on the lane's software adapter.
func TestIPoIBContract(t *testing.T) {
	needsIB(t)
	for name, b := range map[string]link.Backend{
		"key":      link.IPoIB{Parent: "ib0", PKey: 0x8001},
		"no key":   link.IPoIB{Parent: "ib0"},
		"moved in": slow{link.IPoIB{Parent: "ib0", PKey: 0x8001}},
	} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, contract.Case{Peers: true, NoMAC: true, Setup: func(testing.TB) link.Backend { return b }})
		})
	}
}

// needsIB skips the test where there is no InfiniBand adapter; lane qemu has one.
func needsIB(t testing.TB) {
	t.Helper()
	_, err := net.InterfaceByName("ib0")
	if err == nil {
		return
	}
	if os.Getenv("PIPEWORK_LANE") == "qemu" {
		t.Fatal(err)
	}
	t.Skip("no ib0:", err)
}

func TestDetectIPoIB(t *testing.T) {
	needsIB(t)
	h := host(t)
	for _, name := range []string{"ib0", "mac:" + macOf(t, "ib0")} {
		if b, err := link.Detect(t.Context(), h, name, nil); err != nil || b != (link.IPoIB{Parent: "ib0"}) {
			t.Errorf("%s: %#v, %v", name, b, err)
		}
	}
}

func TestIPoIBPartitions(t *testing.T) {
	needsIB(t)
	a, _ := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	c, gc := nstest.Guest(t)
	plug(t, a, link.IPoIB{Parent: "ib0", PKey: 1}, "10.1.0.1/24")
	plug(t, b, link.IPoIB{Parent: "ib0", PKey: 0x8001}, "10.1.0.2/24")
	plug(t, c, link.IPoIB{Parent: "ib0", PKey: 0x8002}, "10.1.0.3/24")
	nstest.Ping(t, gb.Handle, "10.1.0.1")
	nstest.NoPing(t, gc.Handle, "10.1.0.1")
	for _, guest := range []ns.Named{a, b, c} {
		unplug(t, guest, nil)
	}
}

// A key that the port does not have makes an interface without carrier.
func TestIPoIBKeyMissing(t *testing.T) {
	needsIB(t)
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	at, err := pipework.Attach(t.Context(), guest, pipework.Spec{Link: link.IPoIB{Parent: "ib0", PKey: 0x8777}})
	if err != nil || len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "partition key 8777 is not in the key table") {
		t.Errorf("%+v, %v", at, err)
	}
	unplug(t, guest, nil)
	world.Unchanged(t)
}

// The kernel gives a dead guest's child back to the host, down, and marked. It
// goes with the next Attach, with a Detach of the dead guest, or by Collect.
func TestIPoIBOrphans(t *testing.T) {
	needsIB(t)
	b := link.IPoIB{Parent: "ib0", PKey: 0x8001}
	h := host(t)
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	children := func() int {
		all, err := rtnl.LinksOfKind(t.Context(), h.Conn, "ipoib")
		must(t, err)
		return len(all) - 1
	}
	for name, sweep := range map[string]func(dead ns.PID){
		"the next Attach": func(ns.PID) { plug(t, guest, link.IPoIB{Parent: "ib0"}); unplug(t, guest, nil) },
		"its own Detach":  func(dead ns.PID) { unplug(t, dead, b) },
		"Collect": func(ns.PID) {
			if removed, err := link.Collect(t.Context(), h); err != nil || len(removed) != 2 {
				t.Errorf("collected %q, %v", removed, err)
			}
		},
	} {
		t.Log("by", name)
		one, two := nstest.Process(t), nstest.Process(t) // of the same name, so that the kernel has to rename one
		plug(t, ns.PID(one.PID), b, "10.1.0.1/24")
		plug(t, ns.PID(two.PID), b, "10.1.0.2/24")
		if removed, err := link.Collect(t.Context(), h); err != nil || len(removed) > 0 {
			t.Errorf("collected %q in use, %v", removed, err)
		}
		_ = one.Kill()
		_ = two.Kill()
		testwait.Eventually(t, "two children back on the host", func() bool { return children() == 2 })
		sweep(ns.PID(one.PID))
		world.Unchanged(t)
	}
}

// A peer that knows the address from another guest hears of its new place.
func TestIPoIBAnnounces(t *testing.T) {
	needsIB(t)
	b := link.IPoIB{Parent: "ib0", PKey: 0x8001}
	old, _ := nstest.Guest(t)
	young, _ := nstest.Guest(t)
	peer, g := nstest.Guest(t)
	plug(t, peer, b, "10.1.0.9/24", "fd01::9/64")
	before := plug(t, old, b, "10.1.0.1/24", "fd01::1/64")
	nstest.Ping(t, g.Handle, "10.1.0.1")
	nstest.Ping(t, g.Handle, "fd01::1")
	unplug(t, old, nil)
	at := plug(t, young, b, "10.1.0.1/24", "fd01::1/64")
	if at.MAC.String() == before.MAC.String() {
		t.Fatal("both guests have the same address")
	}
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	must(t, err)
	defer func() { _ = h.Close() }()
	testwait.Eventually(t, "the peer has heard", func() bool {
		list, err := nstest.Whole(func() ([]netlink.Neigh, error) { return h.NeighList(0, netlink.FAMILY_ALL) })
		must(t, err)
		known := map[string]string{}
		for _, n := range list {
			known[n.IP.String()] = n.HardwareAddr.String()
		}
		return known["10.1.0.1"] == at.MAC.String() && known["fd01::1"] == at.MAC.String()
	})
	unplug(t, young, nil)
	unplug(t, peer, nil)
}
