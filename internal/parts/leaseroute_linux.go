package parts

import (
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// leaseRoutes puts the lease's routes in place, then takes those away that only
// the last one had.
func (p Leases) leaseRoutes(ctx context.Context, s *Site, last, next *dhcp.Lease) (displaced []string, err error) {
	wanted := slices.DeleteFunc(kernelRoutes(next, s.Link.Index), oneWithKeyOf(p.ownRoutes(s)))
	for _, r := range wanted {
		if err := r.Put(ctx, s.Port.Conn); err != nil {
			return nil, err
		}
	}
	if displaced, err = p.leaseDefault(ctx, s, last, next); err != nil || !mayLeave(last, next) {
		return displaced, err
	}
	return displaced, s.dropLeasedRoutes(ctx, wanted)
}

// mayLeave says whether last may have brought routes that next has not: what is known of a
// lease by the interface's mark alone does not tell its routes.
func mayLeave(last, next *dhcp.Lease) bool {
	return last != nil && (next == nil || len(last.Routes) == 0 || !slices.Equal(last.Routes, next.Routes))
}

// dropLeasedRoutes removes the routes that came with a lease, other than the default one and
// those wanted; Keep puts them back.
func (s *Site) dropLeasedRoutes(ctx context.Context, wanted []rtnl.Route) error {
	surplus, err := rtnl.Routes(ctx, s.Port.Conn, unix.AF_INET, unix.RT_TABLE_MAIN, func(r rtnl.Route) bool {
		return r.Dst.Bits() > 0 && s.leased(r) && !slices.ContainsFunc(wanted, r.SameKey)
	})
	if err != nil {
		return err
	}
	for _, r := range surplus {
		if err := r.Delete(ctx, s.Port.Conn); err != nil {
			return err
		}
	}
	return nil
}

// leased says whether a route of the main table is as leases make them. Those of the guest's own
// network manager (systemd-networkd, NetworkManager, dhcpcd) have the same protocol, and a metric
// or a preferred source, which a lease's have not.
func (s *Site) leased(r rtnl.Route) bool {
	return r.Index == s.Link.Index && r.Protocol() == unix.RTPROT_DHCP && r.Metric == 0 && !r.Src.IsValid()
}

// ownRoutes are the Spec's, and the host routes to its gateways.
func (p Leases) ownRoutes(s *Site) (list []rtnl.Route) {
	for _, r := range p.Routes {
		list = append(list, s.kernel(r))
	}
	return append(list, p.Gateways.hops(s)...)
}

// leaseDefault makes the lease's gateway the default route, or puts back what the
// last one displaced.
func (p Leases) leaseDefault(ctx context.Context, s *Site, last, next *dhcp.Lease) ([]string, error) {
	if p.ownGateway() {
		return nil, nil
	}
	if next == nil || !next.Gateway().IsValid() {
		if last == nil {
			return nil, nil
		}
		return nil, s.stack().dropDefault(ctx, unix.AF_INET, unix.RTPROT_DHCP)
	}
	now, err := rtnl.Defaults(ctx, s.Port.Conn, unix.AF_INET, unix.RT_TABLE_MAIN)
	if err != nil {
		return nil, err
	}
	gw := next.Gateway()
	if slices.ContainsFunc(now, func(r rtnl.Route) bool {
		return r.Index == s.Link.Index && r.Gateway == gw && r.Protocol() != rtnl.Protocol
	}) {
		return nil, nil
	}
	if above, err := s.stack().above(ctx, gw); err != nil || above != nil && s.staysBeneath(above) {
		return nil, err
	}
	ours := rtnl.Via(defaultTo(gw), gw, s.Link.Index).By(unix.RTPROT_DHCP)
	return s.stack().replaceDefault(ctx, ours, append(slices.Clone(p.Gateways.Addrs), next.Addr))
}

// kernelRoutes are the lease's routes but the default one: those on the link
// first, then a host route to each router that nothing covers, then the rest.
func kernelRoutes(l *dhcp.Lease, index int) (list []rtnl.Route) {
	if l == nil {
		return nil
	}
	via := func(dst netip.Prefix, router netip.Addr) rtnl.Route {
		return rtnl.Via(dst, router, index).By(unix.RTPROT_DHCP)
	}
	covered := []netip.Prefix{l.Addr}
	for _, r := range l.Routes {
		if r.Via.IsUnspecified() {
			list = append(list, via(r.Dst, netip.Addr{}))
			covered = append(covered, r.Dst)
		}
	}
	for _, r := range l.Routes {
		if r.Via.IsUnspecified() || r.Dst.Bits() == 0 {
			continue
		}
		if !slices.ContainsFunc(covered, func(p netip.Prefix) bool { return p.Contains(r.Via) }) {
			host := netip.PrefixFrom(r.Via, 32)
			list, covered = append(list, via(host, netip.Addr{})), append(covered, host)
		}
		list = append(list, via(r.Dst, r.Via))
	}
	return list
}
