package rtnl

import (
	"context"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Metrics of linux/rtnetlink.h, of which the kernel takes any number, and drops 0:
// rtaxInitCwnd is the value of a note, and rtaxInitRwnd says that this is 0.
const (
	rtaxInitCwnd = 11
	rtaxInitRwnd = 14
)

// Note is a route that keeps a number in a table that no rule looks into: a blackhole, of
// which the number is the metric. With it goes a value, which is 1 unless the route says
// otherwise (its metric "initcwnd", or "initrwnd 1" for 0). It is one of IPv4, which the kernel binds to no interface:
// one of IPv6 it binds to lo, and drops it when that goes down.
func Note(table, number, value uint32) Route {
	r := Route{Family: unix.AF_INET, Table: table, Metric: number, Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}
	r.msg = unix.RtMsg{Family: unix.AF_INET, Protocol: Protocol, Type: unix.RTN_BLACKHOLE}
	r.attrs = []nlAttr{{unix.RTA_PRIORITY, nl.Uint32Attr(number)}}
	metrics := message(nil)
	switch value {
	case 0:
		metrics.attrU32(rtaxInitRwnd, 1)
	case 1:
		return r.Kept(table)
	default:
		metrics.attrU32(rtaxInitCwnd, value)
	}
	r.attrs = append(r.attrs, nlAttr{unix.RTA_METRICS, metrics})
	return r.Kept(table)
}

// NoteValue is the value of a note.
func (r Route) NoteValue() uint32 {
	for _, a := range r.attrs {
		if a.attrType != unix.RTA_METRICS {
			continue
		}
		if v := Attr(a.value, rtaxInitCwnd); len(v) == 4 {
			return u32(v)
		}
		if len(Attr(a.value, rtaxInitRwnd)) == 4 {
			return 0
		}
	}
	return 1
}

// Notes lists the notes in a table.
func Notes(ctx context.Context, c *ns.Conn, table uint32) ([]Route, error) {
	return Routes(ctx, c, unix.AF_INET, table, func(r Route) bool {
		return r.Dst.Bits() == 0 && r.msg.Type == unix.RTN_BLACKHOLE && r.Protocol() == Protocol && r.IsKept()
	})
}
