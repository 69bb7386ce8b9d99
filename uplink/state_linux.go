package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// A state is what a link is to have.
type state struct {
	home   rtnl.Home
	addrs  []rtnl.Saved
	routes []rtnl.Route
	learns bool // routes that routers advertise
}

// learned says whether the route came by a router advertisement.
func learned(r rtnl.Route) bool { return r.Family == unix.AF_INET6 && r.Protocol() == unix.RTPROT_RA }

// connected says whether the kernel has made the route, of an address's subnet.
func connected(r rtnl.Route) bool { return r.Protocol() == unix.RTPROT_KERNEL && !r.Gateway.IsValid() }

// A mover gives links of the host states, and takes them.
type mover struct{ host link.Host }

// carry gives a link all of the state, and then takes it from another one, which may be nil. At
// each moment one of them has each address, and each route leads through one of them.
func (m mover) carry(ctx context.Context, want state, from, to *rtnl.Link) error {
	for _, a := range rtnl.InOrder(want.addrs) {
		if err := a.RestoreAddr(ctx, m.host.Conn, want.home); err != nil {
			return err
		}
	}
	if err := m.waitUsable(ctx, to); err != nil {
		return err
	}
	if err := m.putRoutes(ctx, want, to); err != nil {
		return err
	}
	if from != nil {
		if err := m.clear(ctx, from); err != nil {
			return err
		}
	}
	// What the kernel has removed along with an address is put again.
	return m.putRoutes(ctx, want, to)
}

// putNeighbours gives the link the neighbours. What the kernel does not take it asks for anew.
func (m mover) putNeighbours(ctx context.Context, r *record, to *rtnl.Link) error {
	for _, n := range r.Neighbours {
		err := n.PutNeighbour(ctx, m.host.Conn, to.Index)
		if err != nil && (n.Lasts() || !errors.As(err, new(unix.Errno))) {
			return fmt.Errorf("put a neighbour on %s: %w", to.Name, err)
		}
	}
	return nil
}

// dadTime bounds the wait for addresses that were just given: detection of duplicates is
// switched off for the link, but by net.ipv6.conf.all.accept_dad.
const dadTime = 5 * time.Second

// localTime bounds the wait for the kernel's own routes.
const localTime = time.Second

// waitUsable waits until the link's IPv6 addresses can be used: the kernel gives each a route for
// what comes in for it once it was looked for duplicates, and also without that in its own time.
func (m mover) waitUsable(ctx context.Context, to *rtnl.Link) error {
	for began := time.Now(); ; {
		all, err := rtnl.Addrs(ctx, m.host.Conn, to.Index)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a rtnl.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 })
		if i >= 0 && all[i].Duplicate() {
			return fmt.Errorf("another node on the network has %s", all[i].Prefix.Addr())
		}
		if i >= 0 && time.Since(began) > dadTime {
			if l, err := rtnl.LinkByIndex(ctx, m.host.Conn, to.Index); err == nil && !l.Running {
				return nil // without a carrier nobody is reached anyway
			}
			return fmt.Errorf("%s is not usable on %s after %v", all[i].Prefix.Addr(), to.Name, dadTime)
		}
		if i < 0 {
			local, err := m.haveLocal(ctx, all, to)
			if local || err != nil || time.Since(began) > localTime {
				return err
			}
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// haveLocal says whether each of the link's IPv6 addresses has its local route.
func (m mover) haveLocal(ctx context.Context, all []rtnl.Addr, l *rtnl.Link) (bool, error) {
	routes, err := rtnl.Routes(ctx, m.host.Conn, unix.AF_INET6, unix.RT_TABLE_LOCAL, func(r rtnl.Route) bool { return r.Index == l.Index })
	if err != nil {
		return false, err
	}
	lacks := func(a rtnl.Addr) bool {
		ip := a.Prefix.Addr()
		return ip.Is6() && !slices.ContainsFunc(routes, func(r rtnl.Route) bool { return r.Dst.IsSingleIP() && r.Dst.Addr() == ip })
	}
	return !slices.ContainsFunc(all, lacks), nil
}

// putRoutes gives the link the routes that it does not have, those that need others after them.
func (m mover) putRoutes(ctx context.Context, want state, to *rtnl.Link) error {
	have, err := rtnl.WholeRoutes(ctx, m.host.Conn, to.Index)
	if err != nil {
		return err
	}
	left := missing(want.routes, have)
	for len(left) > 0 {
		var refused []rtnl.Route
		var why []error
		for _, r := range left {
			err := m.putRoute(ctx, want, r)
			switch {
			case err == nil:
			case errors.As(err, new(unix.Errno)):
				refused, why = append(refused, r), append(why, err)
			default:
				return err
			}
		}
		if len(refused) == len(left) {
			return errs.Join(why...)
		}
		left = refused
	}
	return nil
}

// missing are the routes that are not among those that are there.
func missing(routes, have []rtnl.Route) (left []rtnl.Route) {
	there := map[string]bool{}
	for _, h := range have {
		there[h.Alike()] = true
	}
	for _, r := range routes {
		if !there[r.Alike()] && !(learned(r) && slices.ContainsFunc(have, r.Same)) {
			left = append(left, r)
		}
	}
	return left
}

// putRoute gives the link one route. One that its routers advertise it is to learn again, so that
// they can take it back: until then another one stands in for it.
func (m mover) putRoute(ctx context.Context, want state, r rtnl.Route) error {
	switch {
	case learned(r) && want.learns:
		r = rtnl.Beneath(r)
	case r.Joins():
		return r.Put(ctx, m.host.Conn)
	}
	_, err := r.Append(ctx, m.host.Conn)
	return err
}

// clear takes routes and addresses from the link, the last ones first: so whoever is interrupted
// leaves the first ones in their order.
func (m mover) clear(ctx context.Context, l *rtnl.Link) error {
	routes, err := rtnl.WholeRoutes(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(routes) {
		if err := r.Delete(ctx, m.host.Conn); err != nil {
			return err
		}
	}
	addrs, err := rtnl.WholeAddrs(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, a := range slices.Backward(rtnl.InOrder(addrs)) {
		if err := a.DelAddr(ctx, m.host.Conn, l.Index); err != nil {
			return err
		}
	}
	return nil
}

// prune takes from the link the connected routes that the kernel made for its new addresses, and
// that nobody had.
func (m mover) prune(ctx context.Context, want state, l *rtnl.Link) error {
	have, err := rtnl.WholeRoutes(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, r := range missing(have, want.routes) {
		if connected(r) && !r.Expires() {
			if err := r.Delete(ctx, m.host.Conn); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare says what of the state the link does not have.
func (m mover) compare(ctx context.Context, want state, l *rtnl.Link) error {
	addrs, err := rtnl.WholeAddrs(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, a := range addrs {
		there[a.AlikeAddr()] = true
	}
	var lost []error
	for _, s := range want.addrs {
		if a, ok := s.Addr(); ok && !there[s.AlikeAddr()] && a.Valid > uint32(want.home.Ago/time.Second)+1 {
			lost = append(lost, fmt.Errorf("%s has not the address %s as it was", l.Name, a.Prefix))
		}
	}
	routes, err := rtnl.WholeRoutes(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, r := range missing(want.routes, routes) {
		lost = append(lost, fmt.Errorf("%s has not the route %s as it was", l.Name, r))
	}
	return errs.Join(lost...)
}
