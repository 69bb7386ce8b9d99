package parts

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Keep pushes on s.Undo that the addresses of the interface and the routes through it are
// as they are now, as far as no undo of their own brings them back: the kernel removes some
// beside an address that goes, and a lease that changes brings and takes some.
func (s *Site) Keep(ctx context.Context) error {
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return err
	}
	routes, err := s.routes(ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(routes, func(a, b rtnl.Route) int { return a.Gateway.Compare(b.Gateway) }) // those on the link first
	s.Undo.Push("routes of "+s.Link.Name, func(ctx context.Context) error { return s.putBackRoutes(ctx, routes) })
	s.Undo.Push("addresses of "+s.Link.Name, func(ctx context.Context) error { return s.putBackAddrs(ctx, addrs) })
	return nil
}

// putBackAddrs adds those that are gone, with the lifetimes that they had.
func (s *Site) putBackAddrs(ctx context.Context, before []rtnl.Addr) error {
	now, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	for _, a := range before {
		if !a.ByKernel() && !hasAddr(now, a.Prefix) {
			err = errs.Join(err, s.putBackAddr(ctx, a))
		}
	}
	return err
}

// putBackRoutes removes pipework's and the leases' that are new, and adds those that are
// gone.
func (s *Site) putBackRoutes(ctx context.Context, before []rtnl.Route) error {
	now, err := s.routes(ctx)
	for _, r := range now {
		if madeByUs(r) && !slices.ContainsFunc(before, sameAs(r)) {
			err = errs.Join(err, r.Delete(ctx, s.Port.Conn))
		}
	}
	for _, r := range before {
		if r.Protocol() != unix.RTPROT_KERNEL && !slices.ContainsFunc(now, sameAs(r)) {
			err = errs.Join(err, r.Add(ctx, s.Port.Conn))
		}
	}
	return err
}
