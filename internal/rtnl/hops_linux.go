package rtnl

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// A Hop is a next hop of a route.
type Hop struct {
	Index   int
	Gateway netip.Addr
}

// Hops are the route's next hops.
func (r Route) Hops() (hops []Hop) {
	for _, a := range r.attrs {
		if a.attrType != unix.RTA_MULTIPATH {
			continue
		}
		for hop := range nextHops(a.value) {
			gw, _ := netip.AddrFromSlice(Attr(hop[unix.SizeofRtNexthop:], unix.RTA_GATEWAY))
			hops = append(hops, Hop{int(u32(hop[4:])), gw})
		}
		return hops
	}
	return []Hop{{r.Index, r.Gateway}}
}

// Without is the route without its next hops through the interface; nothing is left of one
// that has no others.
func (r Route) Without(index int) (left Route, ok bool) {
	if r.Index != 0 {
		return r, r.Index != index
	}
	left = r
	left.attrs = slices.Clone(r.attrs)
	ok = true
	for i, a := range left.attrs {
		if a.attrType != unix.RTA_MULTIPATH {
			continue
		}
		var others []byte
		for hop := range nextHops(a.value) {
			if int(u32(hop[4:])) != index {
				others = append(others, hop...)
			}
		}
		left.attrs[i].value, ok = others, len(others) > 0
	}
	return left, ok
}
