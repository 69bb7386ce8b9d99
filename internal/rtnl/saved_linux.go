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
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Of linux/if_addr.h: who made an address, and the flags that it may be made with.
const (
	protoLoopback      = 1 // IFAPROT_KERNEL_LO
	protoAdvertisement = 2 // IFAPROT_KERNEL_RA

	addrFlags = unix.IFA_F_NODAD | unix.IFA_F_OPTIMISTIC | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR |
		unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN
)

// SaveAddrs are the link's addresses, but for those of router advertisements. Those that
// the kernel makes of the MAC are among them: it makes them once there is a carrier, and then
// they would come after the others.
func SaveAddrs(ctx context.Context, c *ns.Conn, l *Link) ([]Saved, error) {
	msgs, err := addrMessages(ctx, c, l.Index)
	told := slices.ContainsFunc(msgs, func(m []byte) bool { // since Linux 5.18 of what the kernel made
		a, ok := parseAddr(m)
		return ok && a.Proto != 0
	})
	var saved []Saved
	for _, m := range msgs {
		if a, ok := parseAddr(m); ok && a.Index == l.Index && !a.kernels(told) {
			saved = append(saved, bytes.Clone(m))
		}
	}
	return saved, err
}

// kernels says whether only the kernel makes such an address: the loopback's, one of a router
// advertisement, or of the interface's secret (RFC 7217). Where the kernel has not told who
// made addresses, one that has a lifetime is taken for an advertised one.
func (a Addr) kernels(told bool) bool {
	switch {
	case a.Proto >= protoLoopback && a.Proto <= protoAdvertisement:
		return true
	case a.Prefix.Addr().Is4():
		return false
	case a.Flags&(unix.IFA_F_TEMPORARY|unix.IFA_F_STABLE_PRIVACY) != 0:
		return true
	}
	return !told && a.Advertised() && a.Flags&unix.IFA_F_NOPREFIXROUTE == 0
}

// InOrder are saved addresses in the order to restore them in: of IPv4 the first one is the
// primary one, of IPv6 the kernel tells the latest first.
func InOrder(saved []Saved) []Saved {
	list := slices.Clone(saved)
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b Saved) int { return cmp.Compare(a.family(), b.family()) })
	n := 0
	for n < len(list) && list[n].family() == unix.AF_INET {
		n++
	}
	slices.Reverse(list[:n])
	return list
}

// family is the first byte of both messages.
func (s Saved) family() int {
	if len(s) == 0 {
		return unix.AF_UNSPEC
	}
	return int(s[0])
}

// RestoreAddr gives the link the address. One whose lifetime is over, or that is there, is
// left.
func (s Saved) RestoreAddr(ctx context.Context, c *ns.Conn, h Home) error {
	a, ok := parseAddr(s)
	valid, alive := remaining(a.Valid, h.Ago)
	if !ok || !alive {
		return nil
	}
	preferred, _ := remaining(a.Preferred, h.Ago)
	m := message(bytes.Clone(s[:unix.SizeofIfAddrmsg]))
	m[2] = 0 // the flags are in an attribute
	binary.NativeEndian.PutUint32(m[4:], uint32(h.To))
	for attr, value := range attrs(s[unix.SizeofIfAddrmsg:]) {
		if attr != unix.IFA_FLAGS && attr != unix.IFA_CACHEINFO {
			m.attr(attr, value...)
		}
	}
	m.attrU32(unix.IFA_FLAGS, h.flags(a))
	m.lifetimes(preferred, valid)
	_, err := c.Do(ctx, m.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK), 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("put address %s back: %w", a.Prefix, err)
	}
	return nil
}

// flags are those that the address is made with.
func (h Home) flags(a Addr) uint32 {
	flags := a.Flags & addrFlags
	if a.Prefix.Addr().Is6() && a.Usable() && flags&unix.IFA_F_NODAD == 0 && slices.Contains(h.Sources, a.Prefix.Addr()) {
		return flags&^unix.IFA_F_OPTIMISTIC | h.AtOnce
	}
	return flags
}

// Sources are the IPv6 addresses that saved routes prefer as their source.
func Sources(routes []Saved) (all []netip.Addr) {
	for _, s := range routes {
		if r, ok := parseRoute(s); ok && r.Src.Is6() {
			all = append(all, r.Src)
		}
	}
	return all
}

// remaining is what is left of a lifetime in seconds.
func remaining(lifetime uint32, ago time.Duration) (left uint32, alive bool) {
	passed := uint64(ago / time.Second)
	switch {
	case lifetime == Forever:
		return lifetime, true
	case uint64(lifetime) <= passed:
		return 0, false
	}
	return lifetime - uint32(passed), true
}

// SaveRoutes are the routes of all tables that lead through the link, those with others
// included, that an administrator or a DHCP client has made: the kernel and routing daemons
// bring their own ones back.
func SaveRoutes(ctx context.Context, c *ns.Conn, index int) ([]Saved, error) {
	var saved []Saved
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		m := make(message, unix.SizeofRtMsg, 32)
		m[0] = uint8(family)
		m.attrU32(unix.RTA_OIF, uint32(index)) // a filter since Linux 4.20
		msgs, err := c.DoWhere(ctx, m.request(unix.RTM_GETROUTE, unix.NLM_F_DUMP), unix.RTM_NEWROUTE, func(m []byte) bool {
			r, ok := parseRoute(m)
			return ok && r.Family == family && r.msg.Flags&unix.RTM_F_CLONED == 0 && r.lasts() && r.Through(index)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, m := range msgs {
			saved = append(saved, m)
		}
	}
	return saved, nil
}

// lasts says whether nobody recreates the route when its link returns, by its protocol
// (linux/rtnetlink.h): those from RTPROT_GATED on are daemons.
func (r Route) lasts() bool {
	switch p := r.Protocol(); p {
	case unix.RTPROT_KERNEL, unix.RTPROT_REDIRECT:
		return false
	case unix.RTPROT_DHCP, Protocol:
		return true
	default:
		return p < unix.RTPROT_GATED
	}
}

// A Home is where saved addresses and routes come back to.
type Home struct {
	From, To int           // index of the link when they were saved, and now
	Ago      time.Duration // since they were saved
	// Sources are addresses that routes prefer as their source. Of IPv6 the kernel takes such
	// a route only once the address is usable, which takes seconds and a carrier (RFC 4862):
	// those that were get the flag AtOnce.
	Sources []netip.Addr
	AtOnce  uint32 // IFA_F_OPTIMISTIC or IFA_F_NODAD
}

// RestoreRoute puts the route back, unless its lifetime is over. Like `ip route append` it
// comes after others of the same key. Of IPv6 the kernel would make one route with several
// next hops of them: there it takes the place of what is left of it, and what leads elsewhere
// meanwhile is EEXIST.
func (s Saved) RestoreRoute(ctx context.Context, c *ns.Conn, h Home) error {
	r, ok := parseRoute(s)
	if !ok {
		return nil
	}
	r, alive := r.At(h)
	switch {
	case !alive:
		return nil
	case r.Family == unix.AF_INET:
		_, err := r.Append(ctx, c)
		return err
	}
	err := r.send(ctx, c, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if errors.Is(err, unix.EEXIST) {
		return r.rejoin(ctx, c, err)
	}
	return err
}

// At is the route on the link as it is now, with what is left of its lifetime, and without
// its nexthop object, which went with the link; the kernel has told what it said.
func (r Route) At(h Home) (now Route, alive bool) {
	now = r
	now.attrs = nil
	if r.Index == h.From {
		now.Index = h.To
	}
	for _, a := range r.attrs {
		a.value = bytes.Clone(a.value)
		switch a.attrType {
		case rtaNhID:
			continue
		case unix.RTA_OIF:
			h.move(a.value)
		case unix.RTA_MULTIPATH:
			for hop := range nextHops(a.value) {
				h.move(hop[4:])
			}
		case unix.RTA_CACHEINFO:
			if !h.age(a.value) {
				return now, false
			}
		}
		now.attrs = append(now.attrs, a)
	}
	return now, true
}

// move changes the index of the link that saved bytes begin with.
func (h Home) move(b []byte) {
	if int(u32(b)) == h.From {
		binary.NativeEndian.PutUint32(b, uint32(h.To))
	}
}

// age changes the lifetime in a rta_cacheinfo: ticks of 1/100 s, see addExpiry.
func (h Home) age(cacheinfo []byte) (alive bool) {
	if len(cacheinfo) < 12 || int32(u32(cacheinfo[8:])) <= 0 {
		return true
	}
	left, alive := remaining(u32(cacheinfo[8:])/100, h.Ago)
	binary.NativeEndian.PutUint32(cacheinfo[8:], left*100)
	return alive
}

// rejoin puts an IPv6 route beside others of its key: those without a gateway stay routes of
// their own, and those with one have to be parts of it.
func (r Route) rejoin(ctx context.Context, c *ns.Conn, taken error) error {
	all, err := Routes(ctx, c, r.Family, r.Table, r.SameKey)
	if err != nil {
		return err
	}
	var there []Hop
	for _, o := range all {
		there = append(there, o.joinable()...)
	}
	mine := r.joinable()
	switch {
	case len(mine) == 0 || len(there) == 0:
		_, err := r.Append(ctx, c)
		return err
	case slices.ContainsFunc(there, func(h Hop) bool { return !slices.Contains(mine, h) }):
		return taken
	}
	return r.Put(ctx, c)
}

// joinable are the next hops of an IPv6 route that the kernel takes together with others of
// the same key (rt6_qualify_for_ecmp in include/net/ip6_route.h).
func (r Route) joinable() []Hop {
	if r.Protocol() == unix.RTPROT_RA || r.has(rtaNhID) {
		return nil
	}
	return slices.DeleteFunc(r.Hops(), func(h Hop) bool { return !h.Gateway.IsValid() })
}

// lifetimes is the struct ifa_cacheinfo of an address, in seconds.
func (m *message) lifetimes(preferred, valid uint32) {
	at := m.nest(unix.IFA_CACHEINFO) // and two times that the kernel ignores
	for _, v := range [...]uint32{preferred, valid, 0, 0} {
		*m = binary.NativeEndian.AppendUint32(*m, v)
	}
	m.end(at)
}

// addrMessages are the payloads of RTM_NEWADDR of a link, or of all.
func addrMessages(ctx context.Context, c *ns.Conn, index int) ([][]byte, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	req.AddData(&nl.IfAddrmsg{IfAddrmsg: unix.IfAddrmsg{Index: uint32(index)}})
	return c.Do(ctx, req, unix.RTM_NEWADDR)
}
