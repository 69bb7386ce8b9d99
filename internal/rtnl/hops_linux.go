package rtnl

import (
	"encoding/binary"
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

// Through says whether the route, or a part of it, leads through the link.
func (r Route) Through(index int) bool {
	return slices.ContainsFunc(r.Hops(), func(h Hop) bool { return h.Index == index })
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

// nextHops are the parts of a RTA_MULTIPATH, each a struct rtnexthop with attributes.
func nextHops(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) >= unix.SizeofRtNexthop {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtNexthop || n > len(b) || !yield(b[:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}
