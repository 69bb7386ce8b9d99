package rtnl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// This file reads all that a link has, for another link to have it.

// protoLinkLocal is IFAPROT_KERNEL_LL of linux/if_addr.h.
const protoLinkLocal = 3

// WholeAddrs are the link's addresses, those of router advertisements included, but not the
// link-local ones of IPv6 that the kernel makes for each link.
func WholeAddrs(ctx context.Context, c *ns.Conn, index int) (saved []Saved, err error) {
	msgs, err := addrMessages(ctx, c, index)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	told := slices.ContainsFunc(msgs, func(m []byte) bool { a, ok := parseAddr(m); return ok && a.Proto != 0 })
	for _, m := range msgs {
		a, ok := parseAddr(m)
		ip := a.Prefix.Addr()
		kernels := ip.Is6() && ip.IsLinkLocalUnicast() && (!told || a.Proto == protoLinkLocal)
		if ok && a.Index == index && !kernels {
			saved = append(saved, bytes.Clone(m))
		}
	}
	return saved, nil
}

// Addr reads an address; not ok where s is none.
func (s Saved) Addr() (a Addr, ok bool) { return parseAddr(s) }

// alikeFlags are the flags that tell one address from another: no states of it. Of IPv4 it
// matters which is the primary one; what is a temporary one of IPv6 only the kernel makes.
func (a Addr) alikeFlags() uint32 {
	if a.Prefix.Addr().Is4() {
		return a.Flags & (addrFlags | unix.IFA_F_SECONDARY | unix.IFA_F_PERMANENT)
	}
	return a.Flags & (addrFlags&^(unix.IFA_F_NODAD|unix.IFA_F_OPTIMISTIC) | unix.IFA_F_PERMANENT)
}

// Temporary says whether it is one that the kernel changes now and then (RFC 8981).
func (a Addr) Temporary() bool { return a.Prefix.Addr().Is6() && a.Flags&unix.IFA_F_TEMPORARY != 0 }

// AlikeAddr is the same text for addresses that differ at most in their link, lifetimes and states.
func (s Saved) AlikeAddr() string {
	a, ok := parseAddr(s)
	if !ok {
		return ""
	}
	head := bytes.Clone(s[:unix.SizeofIfAddrmsg])
	head[2] = 0
	binary.NativeEndian.PutUint32(head[4:], 0)
	var parts []string
	for attr, value := range attrs(s[unix.SizeofIfAddrmsg:]) {
		if attr != unix.IFA_FLAGS && attr != unix.IFA_CACHEINFO {
			parts = append(parts, fmt.Sprintf("%d=%x", attr, value))
		}
	}
	slices.Sort(parts)
	return fmt.Sprintf("%x %x %s", head, a.alikeFlags(), strings.Join(parts, " "))
}

// DelAddr takes the address from the link; nil when it is not there.
func (s Saved) DelAddr(ctx context.Context, c *ns.Conn, index int) error {
	a, ok := parseAddr(s)
	if !ok {
		return nil
	}
	m := message(bytes.Clone(s[:unix.SizeofIfAddrmsg]))
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	for attr, value := range attrs(s[unix.SizeofIfAddrmsg:]) {
		if attr == unix.IFA_LOCAL || attr == unix.IFA_ADDRESS { // which is the peer's, where there is one
			m.attr(attr, value...)
		}
	}
	_, err := c.Do(ctx, m.request(unix.RTM_DELADDR, unix.NLM_F_ACK), 0)
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %s: %w", a.Prefix, err)
	}
	return nil
}

// Relabelled is the address with the label that it has on a link of another name.
func (s Saved) Relabelled(from, to string) Saved {
	label := unix.ByteSliceToString(Attr(s[unix.SizeofIfAddrmsg:], unix.IFA_LABEL))
	rest, ofLink := strings.CutPrefix(label, from)
	if !ofLink || rest != "" && rest[0] != ':' || len(to+rest) >= unix.IFNAMSIZ {
		return s
	}
	m := message(bytes.Clone(s[:unix.SizeofIfAddrmsg]))
	for attr, value := range attrs(s[unix.SizeofIfAddrmsg:]) {
		if attr == unix.IFA_LABEL {
			m.attrString(attr, to+rest)
		} else {
			m.attr(attr, value...)
		}
	}
	return Saved(m)
}

// WholeRoutes are the routes of all tables that lead through the link, those with others
// included: not what redirects have told, nor, but for connected subnets, what the kernel has
// made for addresses.
func WholeRoutes(ctx context.Context, c *ns.Conn, index int) (routes []Route, err error) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		some, err := Routes(ctx, c, family, 0, func(r Route) bool { return r.Through(index) && !followsAddrs(r) })
		if err != nil {
			return nil, err
		}
		routes = append(routes, some...)
	}
	return routes, nil
}

// followsAddrs says whether the kernel makes the route for any link with such addresses, or
// because of a redirect.
func followsAddrs(r Route) bool {
	switch r.Protocol() {
	case unix.RTPROT_REDIRECT:
		return true
	case unix.RTPROT_KERNEL:
		return r.msg.Type != unix.RTN_UNICAST || r.Table == unix.RT_TABLE_LOCAL || r.Dst.Addr().Is6() && r.Dst.Addr().IsLinkLocalUnicast() || r.Dst.Addr().IsMulticast()
	}
	return false
}

// Whole is the route as WholeRoutes has told it, lifetime included.
func (r Route) Whole() Saved {
	m := append(make(message, 0, 128), (&nl.RtMsg{RtMsg: r.msg}).Serialize()...)
	for _, a := range r.attrs {
		m.attr(a.attrType, a.value...)
	}
	return Saved(m)
}

// Alike is the same text for routes that differ at most in lifetimes and states.
func (r Route) Alike() string {
	hops := r.Hops()
	if r.Family != unix.AF_INET6 || len(hops) < 2 {
		return string(r.Saved())
	}
	byHop := func(a, b Hop) int { return cmp.Or(cmp.Compare(a.Index, b.Index), a.Gateway.Compare(b.Gateway)) }
	slices.SortFunc(hops, byHop) // of IPv6 their order says nothing
	r.attrs = slices.DeleteFunc(slices.Clone(r.attrs), func(a nlAttr) bool { return a.attrType == unix.RTA_MULTIPATH })
	return fmt.Sprint(string(r.Saved()), hops)
}

// Joins says whether the kernel makes one route of it and others with the same key: it tells
// those as one, and replaces them together.
func (r Route) Joins() bool { return r.Family == unix.AF_INET6 && len(r.joinable()) > 0 }

// ByObject says whether the route is by a nexthop object (ip nexthop).
func ByObject(r Route) bool { return r.has(rtaNhID) }

// Beneath is the route with the next higher metric, which comes after it.
func Beneath(r Route) Route {
	metric := r.metric() + 1
	r.attrs = slices.DeleteFunc(slices.Clone(r.attrs), func(a nlAttr) bool { return a.attrType == unix.RTA_PRIORITY })
	return r.With(metric, netip.Addr{})
}

// Static says whether somebody has made the route who does not look after it: no routing daemon,
// router advertisement or DHCP client has, nor the kernel.
func (r Route) Static() bool {
	return r.lasts() && r.Protocol() != unix.RTPROT_DHCP && !r.Expires()
}

// Unicast says whether the route leads somewhere, and does not refuse what goes there.
func Unicast(r Route) bool { return r.msg.Type == unix.RTN_UNICAST }

// OnLink says whether the gateway is taken to be on the link, whatever addresses the link has.
func OnLink(r Route) bool { return r.msg.Flags&unix.RTNH_F_ONLINK != 0 }
