package rtnl

import (
	"context"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Note is a route that keeps a number in a table that no rule looks into: a blackhole, of
// which the number is the metric. It is one of IPv4, which the kernel binds to no interface:
// one of IPv6 it binds to lo, and drops it when that goes down.
func Note(table, number uint32) Route {
	r := Route{Family: unix.AF_INET, Table: table, Metric: number, Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}
	r.msg = unix.RtMsg{Family: unix.AF_INET, Protocol: Protocol, Type: unix.RTN_BLACKHOLE}
	r.attrs = []nlAttr{{unix.RTA_PRIORITY, nl.Uint32Attr(number)}}
	return r.Kept(table)
}

// Notes lists the notes in a table.
func Notes(ctx context.Context, c *ns.Conn, table uint32) (notes []Route, err error) {
	all, err := Routes(ctx, c, unix.AF_INET, table)
	for _, r := range all {
		if r.Dst.Bits() == 0 && r.msg.Type == unix.RTN_BLACKHOLE && r.Protocol() == Protocol && r.IsKept() {
			notes = append(notes, r)
		}
	}
	return notes, err
}
