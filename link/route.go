package link

import (
	"fmt"
	"net/netip"
)

// A Route is one route of a guest's through the interface that it belongs to.
// It goes with the interface.
type Route struct {
	// Dst is where it leads, without host bits; 0.0.0.0/0 or ::/0 for everywhere.
	Dst netip.Prefix `json:"dst"`
	// Via is the next router; the zero value stands for Dst being on the link.
	Via netip.Addr `json:"via,omitzero"`
	// Src is the address that the guest prefers to send from: one of the interface's.
	Src netip.Addr `json:"src,omitzero"`
	// Metric: of several routes to Dst the one with the least is taken. 0 stands for
	// 0 in IPv4 and 1024 in IPv6.
	Metric uint32 `json:"metric,omitempty"`
	// Table is the number of the routing table; 0 stands for the main one, 254.
	// Others are only looked into where a [Rule] says so.
	Table uint32 `json:"table,omitempty"`
}

// mainTable is RT_TABLE_MAIN of linux/rtnetlink.h.
const mainTable = 254

// String is the route as ip-route(8) writes it.
func (r Route) String() string {
	s := r.Dst.String()
	if r.Dst.Bits() == 0 {
		s = "default"
	}
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	if r.Src.IsValid() {
		s += " src " + r.Src.String()
	}
	if r.Metric != 0 {
		s += fmt.Sprintf(" metric %d", r.Metric)
	}
	if r.Table != 0 && r.Table != mainTable {
		s += fmt.Sprintf(" table %d", r.Table)
	}
	return s
}

// Validate says what is wrong with the route by itself.
func (r Route) Validate() error {
	is4 := r.Dst.Addr().Is4()
	switch {
	case !r.Dst.IsValid():
		return fmt.Errorf("a route needs a destination, such as 10.0.0.0/8")
	case r.Dst != r.Dst.Masked():
		return fmt.Errorf("route %s: the destination has host bits: write %s", r, r.Dst.Masked())
	case r.Dst.Addr().Is4In6(), r.Dst.Addr().IsMulticast():
		return fmt.Errorf("route %s: this is no destination", r)
	case r.Via.IsValid() && (r.Via.Is4() != is4 || r.Via.IsUnspecified() || r.Via.IsMulticast() || r.Via.Zone() != ""):
		return fmt.Errorf("route %s: %s is no router for it", r, r.Via)
	case r.Src.IsValid() && r.Src.Is4() != is4:
		return fmt.Errorf("route %s: its source is of the other family", r)
	case r.Dst.Bits() == 0 && r.main() && r.Metric == 0:
		return fmt.Errorf("route %s: the default route is a gateway, or has a metric", r)
	case r.Table >= 1<<31:
		return fmt.Errorf("route %s: tables from 2147483648 on are where displaced routes are kept", r)
	case r.Table == 253 || r.Table == 255:
		return fmt.Errorf("route %s: table %d is the kernel's own", r, r.Table)
	}
	return nil
}

func (r Route) main() bool { return r.Table == 0 || r.Table == mainTable }
