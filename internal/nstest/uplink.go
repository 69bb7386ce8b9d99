//go:build linux

package nstest

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// inside opens a netlink handle in the guest.
func inside(t testing.TB, g *ns.Guest) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Uplink gives the guest an interface eth0 with default routes, as a container
// runtime would: IPv4 with metric 0 and 100, IPv6 with metric 1024.
func Uplink(t testing.TB, g *ns.Guest) {
	t.Helper()
	h := inside(t, g)
	defer func() { must(t, h.Close()) }()
	a := netlink.NewLinkAttrs()
	a.Name = "eth0"
	must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "uplink"}))
	var eth0 netlink.Link
	for _, name := range []string{"uplink", "eth0"} {
		l, err := h.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "uplink" { // the kernel gives addresses in its own time, also in the midst of a test
			must(t, h.LinkSetIP6AddrGenMode(l, 1)) // IN6_ADDR_GEN_MODE_NONE
		}
		must(t, h.LinkSetUp(l))
		eth0 = l
	}
	testwait.Eventually(t, "eth0 has its own IPv6 address", func() bool {
		addrs, err := Whole(func() ([]netlink.Addr, error) { return h.AddrList(eth0, netlink.FAMILY_V6) })
		must(t, err)
		return len(addrs) > 0
	})
	for _, addr := range []string{"172.20.0.2/16", "fd20::2/64"} {
		parsed, err := netlink.ParseAddr(addr)
		must(t, err)
		parsed.Flags = unix.IFA_F_NODAD
		must(t, h.AddrAdd(eth0, parsed))
	}
	for _, r := range []netlink.Route{
		{Gw: net.ParseIP("172.20.0.1")},
		{Gw: net.ParseIP("172.20.0.9"), Priority: 100, MTU: 1400},
		{Gw: net.ParseIP("fd20::1"), Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}},
	} {
		r.LinkIndex = eth0.Attrs().Index
		must(t, h.RouteAdd(&r))
	}
}

// Spoil takes the interface's addresses away and sets it down, with which its
// routes go too.
func Spoil(t testing.TB, g *ns.Guest, name string) {
	t.Helper()
	h := inside(t, g)
	defer func() { must(t, h.Close()) }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := Whole(func() ([]netlink.Addr, error) { return h.AddrList(l, netlink.FAMILY_V4) })
	must(t, err)
	for _, a := range addrs {
		must(t, h.AddrDel(l, &a))
	}
	must(t, h.LinkSetDown(l))
}
