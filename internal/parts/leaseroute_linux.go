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
	if displaced, err = p.leaseDefault(ctx, s, last, next); err != nil {
		return nil, err
	}
	for _, r := range kernelRoutes(last, s.Link.Index) {
		if slices.ContainsFunc(wanted, r.SameKey) {
			continue
		}
		if err := r.Delete(ctx, s.Port.Conn); err != nil {
			return nil, err
		}
	}
	return displaced, nil
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
	if beneath, err := s.stack().isBeneath(ctx, gw); beneath || err != nil {
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
