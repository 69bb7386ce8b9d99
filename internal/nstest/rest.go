//go:build linux

package nstest

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// restless says whether the kernel still works on what the world's lines show. It
// does some things on a thread of its own, after the call has returned: on a busy
// machine much later.
func (w *World) restless(t testing.TB) bool {
	t.Helper()
	for _, g := range append([]*ns.Handle{nil}, w.guests...) {
		h := handle(t, g)
		restless := atWork(t, h)
		_ = h.Close()
		if restless {
			return true
		}
	}
	return false
}

// atWork says whether, on a link that has its carrier, an IPv6 address that the
// world shows is not yet checked for duplicates or has no local route yet
// (addrconf_dad_work in net/ipv6/addrconf.c), or a route is not yet told of the
// carrier (linkwatch_event in net/core/link_watch.c).
func atWork(t testing.TB, h *netlink.Handle) bool {
	t.Helper()
	carrier := map[int]bool{}
	for _, l := range dump(t, h.LinkList) {
		a := l.Attrs()
		carrier[a.Index] = a.RawFlags&unix.IFF_UP != 0 && a.RawFlags&unix.IFF_LOWER_UP != 0
	}
	routes := dump(t, func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	})
	for _, r := range routes {
		if carrier[r.LinkIndex] && r.Flags&unix.RTNH_F_LINKDOWN != 0 {
			return true
		}
	}
	for _, a := range dump(t, func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_V6) }) {
		counts := carrier[a.LinkIndex] && a.Flags&unix.IFA_F_DADFAILED == 0 && !a.IP.IsLinkLocalUnicast()
		if counts && (a.Flags&unix.IFA_F_TENTATIVE != 0 || !isLocal(routes, a.IP)) {
			return true
		}
	}
	return false
}

func isLocal(routes []netlink.Route, ip net.IP) bool {
	for _, r := range routes {
		if r.Table == unix.RT_TABLE_LOCAL && r.Dst != nil && r.Dst.IP.Equal(ip) {
			return true
		}
	}
	return false
}
