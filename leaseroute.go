//go:build linux

package pipework

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
func (j *job) leaseRoutes(ctx context.Context, l *rtnl.Link, last, next *dhcp.Lease) (displaced []string, err error) {
	wanted := kernelRoutes(next, l.Index)
	for _, r := range wanted {
		if err := r.Put(ctx, j.port.Conn); err != nil {
			return nil, err
		}
	}
	if displaced, err = j.leaseDefault(ctx, l, last, next); err != nil {
		return nil, err
	}
	for _, r := range kernelRoutes(last, l.Index) {
		if slices.ContainsFunc(wanted, r.SameKey) {
			continue
		}
		if err := r.Delete(ctx, j.port.Conn); err != nil {
			return nil, err
		}
	}
	return displaced, nil
}

// leaseDefault makes the lease's gateway the default route, or puts back what the
// last one displaced.
func (j *job) leaseDefault(ctx context.Context, l *rtnl.Link, last, next *dhcp.Lease) ([]string, error) {
	if j.ownGateway(netip.Addr.Is4) {
		return nil, nil
	}
	if next == nil || !next.Gateway().IsValid() {
		if last == nil {
			return nil, nil
		}
		return nil, j.dropDefault(ctx, l, last)
	}
	now, err := rtnl.Defaults(ctx, j.port.Conn, unix.AF_INET, unix.RT_TABLE_MAIN)
	if err != nil {
		return nil, err
	}
	gw := next.Gateway()
	if slices.ContainsFunc(now, func(r rtnl.Route) bool { return r.Index == l.Index && r.Gateway == gw }) {
		return nil, nil
	}
	return j.replaceDefault(ctx, l.Index, gw)
}

func (j *job) dropDefault(ctx context.Context, l *rtnl.Link, last *dhcp.Lease) error {
	if err := j.restoreDefaults(ctx, l.Index, unix.AF_INET); err != nil || !last.Gateway().IsValid() {
		return err
	}
	return defaultVia(last.Gateway(), l.Index).Delete(ctx, j.port.Conn)
}

// kernelRoutes are the lease's routes but the default one: those on the link
// first, then a host route to each router that nothing covers, then the rest.
func kernelRoutes(l *dhcp.Lease, index int) (list []rtnl.Route) {
	if l == nil {
		return nil
	}
	covered := []netip.Prefix{l.Addr}
	for _, r := range l.Routes {
		if r.Via.IsUnspecified() {
			list = append(list, rtnl.Via(r.Dst, netip.Addr{}, index))
			covered = append(covered, r.Dst)
		}
	}
	for _, r := range l.Routes {
		if r.Via.IsUnspecified() || r.Dst.Bits() == 0 {
			continue
		}
		if !slices.ContainsFunc(covered, func(p netip.Prefix) bool { return p.Contains(r.Via) }) {
			host := netip.PrefixFrom(r.Via, 32)
			list, covered = append(list, rtnl.Via(host, netip.Addr{}, index)), append(covered, host)
		}
		list = append(list, rtnl.Via(r.Dst, r.Via, index))
	}
	return list
}
