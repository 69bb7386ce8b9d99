package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Routes lead through the interface, beside those to the subnets of its addresses and to
// gateways. They bear pipework's number as their protocol, by which it knows its own.
type Routes struct {
	List []link.Route
	// Gateways may have host routes, which are theirs.
	Gateways Gateways
}

var _ Part = Routes{}

// kernel is a route through the interface.
func (s *Site) kernel(r link.Route) rtnl.Route {
	k := s.ours(r.Dst, r.Via).With(r.Metric, r.Src)
	if r.Table != 0 {
		k = k.InTable(r.Table)
	}
	return k
}

// Apply adds the routes to a new interface, with which they go; see [Part].
func (p Routes) Apply(ctx context.Context, s *Site) error {
	for _, r := range p.List {
		s.Log(ctx, "route", "route", r)
		if err := s.addRoute(ctx, r, rtnl.Route.AddNew); err != nil {
			return err
		}
		if k := s.kernel(r); r.Dst.Bits() == 0 && k.Table == unix.RT_TABLE_MAIN {
			s.Gateways = append(s.Gateways, r.Via)
		}
	}
	return nil
}

// Asks is the routes; see [Part].
func (p Routes) Asks(context.Context, *Site) (lines []string, _ error) {
	for _, r := range p.List {
		lines = append(lines, "route "+r.String())
	}
	return lines, nil
}

// Remove has nothing to do: the routes go with the interface.
func (Routes) Remove(context.Context, *Site) error { return nil }

// addRoute adds a route, or puts it in the place of another.
func (s *Site) addRoute(ctx context.Context, r link.Route, add func(rtnl.Route, context.Context, *ns.Conn) error) error {
	if r.Src.Is6() {
		if err := s.awaitSource(ctx, r); err != nil {
			return err
		}
	}
	err := add(s.kernel(r), ctx, s.Port.Conn)
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return errs.New(fs.ErrInvalid, "route %s: %s is not on the link: give the interface an address of its subnet, or a route to it first (%w)", r, r.Via, err)
	case errors.Is(err, unix.EINVAL) && r.Src.IsValid():
		return errs.New(fs.ErrInvalid, "route %s: is %s an address of the interface? (%w)", r, r.Src, err)
	}
	return err
}

// sourceTime bounds the wait for a source address; see announce.Sender.
const sourceTime = 4 * time.Second

// awaitSource waits until duplicate address detection of an IPv6 source is over:
// before that the kernel takes no route with it.
func (s *Site) awaitSource(ctx context.Context, r link.Route) error {
	for end := time.Now().Add(sourceTime); ; {
		addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(addrs, func(a rtnl.Addr) bool { return a.Prefix.Addr() == r.Src })
		if i < 0 || addrs[i].Usable() {
			return nil
		}
		if addrs[i].Duplicate() || time.Now().After(end) {
			return fmt.Errorf("route %s: duplicate address detection did not permit %s", r, r.Src)
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// Compare tells of routes that are gone, and of pipework's that are not asked for; see
// [Part].
func (p Routes) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	var own []rtnl.Route
	if s.Exact {
		if own, err = s.ownRoutes(ctx); err != nil {
			return d, err
		}
	}
	var asked []rtnl.Route
	for _, r := range p.List {
		k := s.kernel(r)
		asked = append(asked, k)
		have, err := rtnl.Routes(ctx, s.Port.Conn, k.Family, k.Table, k.SameKey)
		if err != nil {
			return d, err
		}
		if !s.has(have, k) {
			d.Missing = append(d.Missing, link.Drift{What: "route " + r.String() + " is gone", Mend: func(ctx context.Context, u *link.Undo) error {
				u.Push("route "+r.String(), func(ctx context.Context) error { return k.Delete(ctx, s.Port.Conn) })
				return s.addRoute(ctx, r, s.replacing(have, k))
			}})
		}
	}
	asked = append(asked, p.Gateways.hops(s)...)
	for _, r := range own {
		beneath := isKept(r) && slices.Contains(p.Gateways.Via, r.Gateway)
		if !s.isDefault(r) && !beneath && !slices.ContainsFunc(asked, r.Same) {
			d.Surplus = append(d.Surplus, s.surplusRoute("it has the route "+r.String(), r))
		}
	}
	return d, nil
}

// replacing is how to add k where these are in its table: of Update in the place of one
// that pipework or a lease made on the interface and that has the same key, if there is one.
func (s *Site) replacing(have []rtnl.Route, k rtnl.Route) func(rtnl.Route, context.Context, *ns.Conn) error {
	if s.Exact && slices.ContainsFunc(have, func(o rtnl.Route) bool { return o.SameKey(k) && o.Index == k.Index && madeByUs(o) }) {
		return rtnl.Route.Put
	}
	return rtnl.Route.AddNew
}

// has says whether k is among these, to stay.
func (s *Site) has(have []rtnl.Route, k rtnl.Route) bool {
	return slices.ContainsFunc(have, func(r rtnl.Route) bool { return k.Same(r) && s.stays(r) })
}

// stays says that the route does not go with a lease: Update may drop that.
func (s *Site) stays(r rtnl.Route) bool { return !s.Exact || r.Protocol() != unix.RTPROT_DHCP }

// oneWithKeyOf returns whether a route has the destination, metric and table of one of these.
func oneWithKeyOf(routes []rtnl.Route) func(rtnl.Route) bool {
	return func(r rtnl.Route) bool {
		return slices.ContainsFunc(routes, func(o rtnl.Route) bool { return r.SameKey(o) && r.Table == o.Table })
	}
}

// surplusRoute is a route to be removed.
func (s *Site) surplusRoute(what string, r rtnl.Route) link.Drift {
	return link.Drift{What: what, Mend: func(ctx context.Context, u *link.Undo) error {
		u.Push("route "+r.String(), func(ctx context.Context) error { return r.Add(ctx, s.Port.Conn) })
		return r.Delete(ctx, s.Port.Conn)
	}}
}

// ownRoutes are the routes through the interface that pipework made.
func (s *Site) ownRoutes(ctx context.Context) ([]rtnl.Route, error) {
	all, err := s.routes(ctx)
	return slices.DeleteFunc(all, func(r rtnl.Route) bool { return r.Protocol() != rtnl.Protocol || r.Index != s.Link.Index }), err
}

// routes are those through the interface, and the default ones that it displaced.
func (s *Site) routes(ctx context.Context) (list []rtnl.Route, err error) {
	for _, family := range families {
		some, err := rtnl.Routes(ctx, s.Port.Conn, family, 0, func(r rtnl.Route) bool {
			return r.Index == s.Link.Index || r.Table == savedTable(s.Link.Index)
		})
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// sameAs returns whether a route is r, made by the same.
func sameAs(r rtnl.Route) func(rtnl.Route) bool {
	return func(o rtnl.Route) bool { return r.Same(o) && r.Protocol() == o.Protocol() }
}
