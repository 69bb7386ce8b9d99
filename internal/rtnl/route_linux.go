package rtnl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Route is one route as the kernel told it, kept whole, so that it can be put
// back exactly: multipath, metrics, preferred source and all.
type Route struct {
	Family  int
	Table   uint32
	Metric  uint32
	Index   int // of the interface; 0 for multipath and unreachable routes
	Gateway netip.Addr
	Src     netip.Addr // preferred source
	Dst     netip.Prefix

	msg   unix.RtMsg
	attrs []nlAttr
}

// RTA_PREF and RTA_NH_ID of linux/rtnetlink.h.
const (
	rtaPref = 20
	rtaNhID = 30
)

type nlAttr struct {
	attrType uint16
	value    []byte
}

// String is the route as `ip route` would print its beginning.
func (r Route) String() string {
	s := "default"
	if r.Dst.Bits() > 0 {
		s = r.Dst.String()
	}
	if r.Gateway.IsValid() {
		s += " via " + r.Gateway.String()
	}
	if r.Metric != 0 {
		s += fmt.Sprintf(" metric %d", r.Metric)
	}
	return s
}

// Routes lists the routes of one family and table that want picks; table 0 stands for all of
// them. The others take no memory: a guest's root can make any number of routes, and the host
// of a router has a million. Of more than routesMost it lists the first.
func Routes(ctx context.Context, c *ns.Conn, family int, table uint32, want func(Route) bool) ([]Route, error) {
	m := make(message, unix.SizeofRtMsg, 32)
	m[0] = uint8(family)
	if table != 0 {
		m.attrU32(unix.RTA_TABLE, table)
	}
	picked := 0
	msgs, err := c.DoWhere(ctx, m.request(unix.RTM_GETROUTE, unix.NLM_F_DUMP), unix.RTM_NEWROUTE, func(m []byte) bool {
		r, ok := parseRoute(m)
		if ok = ok && picked < routesMost && int(r.msg.Family) == family && r.msg.Flags&unix.RTM_F_CLONED == 0 && (table == 0 || r.Table == table) && want(r); ok {
			picked++
		}
		return ok
	})
	if errors.Is(err, unix.ENOENT) { // strict checking: the table does not exist
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	routes := make([]Route, 0, len(msgs))
	for _, m := range msgs {
		r, _ := parseRoute(m)
		routes = append(routes, r)
	}
	return routes, nil
}

// routesMost is more than anybody has of a kind of routes.
const routesMost = 1 << 14

// Defaults lists the default routes of one family and table.
func Defaults(ctx context.Context, c *ns.Conn, family int, table uint32) ([]Route, error) {
	routes, err := Routes(ctx, c, family, table, func(r Route) bool { return r.Dst.Bits() == 0 && r.msg.Type == unix.RTN_UNICAST })
	return eachLearned(routes), err
}

func parseRoute(m []byte) (Route, bool) {
	if len(m) < unix.SizeofRtMsg {
		return Route{}, false
	}
	msg := nl.DeserializeRtMsg(m).RtMsg
	r := Route{Family: int(msg.Family), Table: uint32(msg.Table), msg: msg}
	dst := netip.IPv4Unspecified()
	if r.Family == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	for attr, value := range attrs(m[unix.SizeofRtMsg:]) {
		r.attrs = append(r.attrs, nlAttr{attr, value})
		switch attr {
		case unix.RTA_TABLE:
			r.Table = u32(value)
		case unix.RTA_PRIORITY:
			r.Metric = u32(value)
		case unix.RTA_OIF:
			r.Index = int(u32(value))
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(value)
		case unix.RTA_PREFSRC:
			r.Src, _ = netip.AddrFromSlice(value)
		case unix.RTA_DST:
			dst, _ = netip.AddrFromSlice(value)
		}
	}
	r.Dst = netip.PrefixFrom(dst, int(msg.Dst_len))
	return r, true
}

// Saved is the route for [ParseSaved] to read, the same for the same route: without what is a
// state of it, or a lifetime.
func (r Route) Saved() Saved {
	msg := r.msg
	msg.Table = unix.RT_TABLE_COMPAT
	msg.Flags &= unix.RTNH_F_ONLINK
	m := append(make(message, 0, 128), (&nl.RtMsg{RtMsg: msg}).Serialize()...)
	m.attrU32(unix.RTA_TABLE, r.Table)
	byType := func(a, b nlAttr) int { return cmp.Compare(a.attrType, b.attrType) }
	for _, a := range slices.SortedStableFunc(slices.Values(r.attrs), byType) {
		if a.attrType != unix.RTA_TABLE && a.attrType != unix.RTA_CACHEINFO {
			m.attr(a.attrType, a.forSending()...)
		}
	}
	return Saved(m)
}

// ParseSaved reads a route; not ok where s is none.
func ParseSaved(s []byte) (r Route, ok bool) { return parseRoute(s) }

// InTable is the same route in another table.
func (r Route) InTable(table uint32) Route {
	r.Table = table
	return r
}

// Protocol is who made the route: RTPROT_*, or [Protocol].
func (r Route) Protocol() int { return int(r.msg.Protocol) }

// By is the route as made by this protocol.
func (r Route) By(protocol int) Route {
	r.msg.Protocol = uint8(protocol)
	return r
}

// Expires says whether the kernel takes the route away by itself after a time.
func (r Route) Expires() bool {
	for _, a := range r.attrs {
		if a.attrType == unix.RTA_CACHEINFO && len(a.value) >= 12 && int32(u32(a.value[8:])) > 0 {
			return true
		}
	}
	return false
}

// Lasting is the route without an end.
func (r Route) Lasting() Route {
	r.attrs = slices.DeleteFunc(slices.Clone(r.attrs), func(a nlAttr) bool { return a.attrType == unix.RTA_CACHEINFO })
	return r
}

// Before says whether the kernel takes the default route r rather than o: that of the
// smaller metric, and of IPv6 then that of the higher preference (RFC 4191). Of equal ones
// it is the one that the kernel lists first.
func (r Route) Before(o Route) bool {
	if r.metric() != o.metric() {
		return r.metric() < o.metric()
	}
	return r.preference() > o.preference()
}

// preference is 1 (high), 0 or -1 (low).
func (r Route) preference() int {
	for _, a := range r.attrs {
		if a.attrType == rtaPref && len(a.value) == 1 {
			return map[byte]int{1: 1, 3: -1}[a.value[0]]
		}
	}
	return 0
}

// Put adds the route, replacing one with the same destination and metric.
func (r Route) Put(ctx context.Context, c *ns.Conn) error {
	return r.send(ctx, c, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
}

// Add adds the route beside others with the same destination and metric; nil
// when the very same route is there already.
func (r Route) Add(ctx context.Context, c *ns.Conn) error {
	err := r.send(ctx, c, unix.RTM_NEWROUTE, unix.NLM_F_CREATE)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// Append is Add, after others with the same destination and metric, of which the kernel
// takes the first. Of IPv6 all of these are one route with several next hops. It tells
// whether the route was not there already.
func (r Route) Append(ctx context.Context, c *ns.Conn) (added bool, err error) {
	flags := unix.NLM_F_CREATE
	if r.Family == unix.AF_INET {
		flags |= unix.NLM_F_APPEND
	}
	err = r.send(ctx, c, unix.RTM_NEWROUTE, flags)
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

// AddNew adds the route; one with the same destination, metric and table is
// fs.ErrExist.
func (r Route) AddNew(ctx context.Context, c *ns.Conn) error {
	err := r.send(ctx, c, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if errors.Is(err, unix.EEXIST) {
		return errs.New(fs.ErrExist, "route %s is there already, or one of the same metric: choose another metric", r)
	}
	return err
}

// SameKey says whether the kernel, told to replace, would take one route for
// the other: same family, destination, metric and type of service.
func (r Route) SameKey(o Route) bool {
	return r.Family == o.Family && r.Dst == o.Dst && r.metric() == o.metric() && r.msg.Tos == o.msg.Tos
}

// Same says whether the kernel's route k is r.
func (r Route) Same(k Route) bool {
	return r.SameKey(k) && r.Table == k.Table && r.Index == k.Index && r.Gateway == k.Gateway && r.Src == k.Src
}

// metric is the metric that the kernel uses: IPv6 takes 1024 for none
// (IP6_RT_PRIO_USER).
func (r Route) metric() uint32 {
	if r.Metric == 0 && r.Family == unix.AF_INET6 {
		return 1024
	}
	return r.Metric
}

// Delete removes the route; nil when it is not there.
func (r Route) Delete(ctx context.Context, c *ns.Conn) error {
	err := r.send(ctx, c, unix.RTM_DELROUTE, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func (r Route) send(ctx context.Context, c *ns.Conn, msgType, flags int) error {
	msg := r.msg
	msg.Table = unix.RT_TABLE_COMPAT
	msg.Flags &= unix.RTNH_F_ONLINK // the others are states, which the kernel refuses to be told
	m := append(make(message, 0, 128), (&nl.RtMsg{RtMsg: msg}).Serialize()...)
	m.attrU32(unix.RTA_TABLE, r.Table)
	byObject := r.has(rtaNhID)
	for _, a := range r.attrs {
		if a.sendable(byObject) {
			m.attr(a.attrType, a.forSending()...)
		} else if a.attrType == unix.RTA_CACHEINFO && msgType == unix.RTM_NEWROUTE {
			m.addExpiry(a.value)
		}
	}
	if _, err := c.Do(ctx, m.request(msgType, flags|unix.NLM_F_ACK), 0); err != nil {
		return fmt.Errorf("route %s: %w", r, err)
	}
	return nil
}

func (r Route) has(attrType uint16) bool {
	for _, a := range r.attrs {
		if a.attrType == attrType {
			return true
		}
	}
	return false
}

// sendable leaves out what the kernel tells but does not take, and, for a route
// by nexthop object, what the object says already.
func (a nlAttr) sendable(byObject bool) bool {
	switch a.attrType {
	case unix.RTA_TABLE, unix.RTA_CACHEINFO:
		return false
	case unix.RTA_OIF, unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_MULTIPATH, unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE:
		return !byObject
	}
	return true
}

// forSending clears the state flags inside RTA_MULTIPATH.
func (a nlAttr) forSending() []byte {
	if a.attrType != unix.RTA_MULTIPATH {
		return a.value
	}
	b := append([]byte(nil), a.value...)
	for hop := range nextHops(b) {
		hop[2] &= unix.RTNH_F_ONLINK
	}
	return b
}

// addExpiry turns the remaining lifetime that rta_cacheinfo tells (third field,
// in clock ticks of 1/100 s) into the RTA_EXPIRES that a new route takes.
func (m *message) addExpiry(cacheinfo []byte) {
	if len(cacheinfo) < 12 {
		return
	}
	if ticks := int32(u32(cacheinfo[8:])); ticks > 0 {
		m.attrU32(unix.RTA_EXPIRES, uint32(ticks/100)+1)
	}
}

// Via is the route to dst through gw on the link with this index, in the main
// table, as `ip route add DST via GW dev LINK` would make it. An invalid gw
// stands for a directly connected dst.
func Via(dst netip.Prefix, gw netip.Addr, index int) Route {
	r := Route{Family: Family(dst.Addr()), Table: unix.RT_TABLE_MAIN, Index: index, Gateway: gw, Dst: dst}
	r.msg = unix.RtMsg{Family: uint8(r.Family), Dst_len: uint8(dst.Bits()), Protocol: unix.RTPROT_BOOT, Type: unix.RTN_UNICAST}
	if !gw.IsValid() && r.Family == unix.AF_INET {
		r.msg.Scope = unix.RT_SCOPE_LINK
	}
	if dst.Bits() > 0 {
		r.attrs = append(r.attrs, nlAttr{unix.RTA_DST, dst.Addr().AsSlice()})
	}
	if gw.IsValid() {
		r.attrs = append(r.attrs, nlAttr{unix.RTA_GATEWAY, gw.AsSlice()})
	}
	r.attrs = append(r.attrs, nlAttr{unix.RTA_OIF, nl.Uint32Attr(uint32(index))})
	return r
}

// With is the route with a metric and a preferred source, where those are not
// zero.
func (r Route) With(metric uint32, src netip.Addr) Route {
	r.attrs = slices.Clone(r.attrs)
	if r.Metric = metric; metric != 0 {
		r.attrs = append(r.attrs, nlAttr{unix.RTA_PRIORITY, nl.Uint32Attr(metric)})
	}
	if r.Src = src; src.IsValid() {
		r.attrs = append(r.attrs, nlAttr{unix.RTA_PREFSRC, src.AsSlice()})
	}
	return r
}
