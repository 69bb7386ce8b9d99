package parts

import (
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Gateways are the default routes through the interface, at most one of each family.
type Gateways struct {
	Via []netip.Addr
	// Addrs are the interface's addresses. A gateway in none of their subnets is
	// reached by a host route.
	Addrs []netip.Prefix
}

var _ Part = Gateways{}

// Apply replaces the default routes of their families; see [Part].
func (g Gateways) Apply(ctx context.Context, s *Site) error {
	for _, gw := range g.Via {
		s.Log(ctx, "route", "gateway", gw)
		displaced, err := s.stack().replaceDefault(ctx, s.ours(defaultTo(gw), gw), g.Addrs)
		if err != nil {
			return err
		}
		s.Displaced = append(s.Displaced, displaced...)
	}
	s.Gateways = append(s.Gateways, g.Via...)
	return nil
}

// Asks is the default routes, and those of the guest's that they take the place of; see
// [Part].
func (g Gateways) Asks(ctx context.Context, s *Site) (lines []string, err error) {
	for _, gw := range g.Via {
		now, err := rtnl.Defaults(ctx, s.Port.Conn, rtnl.Family(gw), unix.RT_TABLE_MAIN)
		if err != nil {
			return nil, err
		}
		if len(s.Beneath) > 0 {
			lines = append(lines, "default via "+gw.String()+", once what was declared later is detached")
			continue
		}
		lines = append(lines, "default via "+gw.String())
		for _, r := range now {
			lines = append(lines, "instead of "+r.String()+", which detach puts back")
		}
	}
	return lines, nil
}

// Remove puts back what was displaced; see [Part].
func (g Gateways) Remove(ctx context.Context, s *Site) (err error) {
	if s.unlearned, err = learningOf(s).hadIPv6Gateway(ctx, g.Via); err != nil {
		return err
	}
	for _, family := range families {
		s.Log(ctx, "restore routes", "family", family)
		if err := s.stack().restoreDefaults(ctx, family); err != nil {
			return err
		}
	}
	return nil
}

// Compare looks whether each gateway's default route is there, and no displaced one;
// see [Part].
func (g Gateways) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	for _, family := range families {
		i := slices.IndexFunc(g.Via, func(gw netip.Addr) bool { return rtnl.Family(gw) == family })
		if i < 0 && !s.Exact {
			continue
		}
		now, err := rtnl.Defaults(ctx, s.Port.Conn, family, unix.RT_TABLE_MAIN)
		if err != nil {
			return d, err
		}
		saved, err := rtnl.Defaults(ctx, s.Port.Conn, family, savedTable(s.Link.Index))
		if err != nil {
			return d, err
		}
		saved = originals(saved)
		if i < 0 {
			surplus := s.stack().surplusDefault(now, saved, family)
			if len(surplus) == 0 && family == unix.AF_INET6 {
				if surplus, err = learningOf(s).surplusNotes(ctx); err != nil {
					return d, err
				}
			}
			d.Surplus = append(d.Surplus, surplus...)
			continue
		}
		lost, err := s.stack().lost(ctx, family)
		if err != nil {
			return d, err
		}
		drift, err := g.drift(ctx, s, g.Via[i], now, saved)
		if err != nil {
			return d, err
		}
		d.Missing = slices.Concat(d.Missing, lost, drift)
	}
	return d, nil
}

// drift compares the default routes that there are now with the one via gw.
func (g Gateways) drift(ctx context.Context, s *Site, gw netip.Addr, now, saved []rtnl.Route) ([]link.Drift, error) {
	d := link.Drift{Mend: func(ctx context.Context, _ *link.Undo) error {
		_, err := s.stack().replaceDefault(ctx, s.ours(defaultTo(gw), gw), g.Addrs)
		return err
	}}
	through := slices.DeleteFunc(slices.Clone(now), func(r rtnl.Route) bool { return !s.isDefault(r) })
	at := slices.IndexFunc(now, func(r rtnl.Route) bool {
		return slices.Contains(r.Hops(), rtnl.Hop{Index: s.Link.Index, Gateway: gw}) && s.stays(r) && r.Protocol() != unix.RTPROT_RA
	})
	there := at >= 0
	back := slices.IndexFunc(now, oneOf(saved)) // a call was killed, or somebody put it back
	first := advertisedBeside(at, now)
	if !there && len(through) == 0 {
		if above, err := s.stack().above(ctx, gw); err != nil {
			return nil, err
		} else if above != nil && s.staysBeneath(above) {
			return g.hopDrift(ctx, s, gw)
		} else if above != nil {
			d.What = "default route goes via " + above.Name + ", which was declared before"
			return []link.Drift{d}, nil
		}
	}
	switch {
	case !there && len(through) > 0:
		d.What, d.Chosen = "default route goes via "+through[0].Gateway.String()+" instead of "+gw.String(), true
	case !there:
		d.What = "default route via " + gw.String() + " is gone"
	case back >= 0:
		d.What = "default route " + now[back].String() + " is back"
	case first != nil:
		d.What = first.String() + ", which a router advertises, does not come after the gateway " + gw.String()
	default:
		return g.hopDrift(ctx, s, gw)
	}
	return []link.Drift{d}, nil
}

// hopDrift tells whether the host route to the gateway is gone.
func (g Gateways) hopDrift(ctx context.Context, s *Site, gw netip.Addr) ([]link.Drift, error) {
	if !s.Exact || covers(g.Addrs, gw) {
		return nil, nil
	}
	hop := s.hop(gw)
	have, err := rtnl.Routes(ctx, s.Port.Conn, hop.Family, hop.Table, hop.SameKey)
	if err != nil || s.has(have, hop) {
		return nil, err
	}
	return []link.Drift{{What: "route to " + gw.String() + " is gone", Mend: func(ctx context.Context, _ *link.Undo) error {
		return s.addHop(ctx, s.ours(defaultTo(gw), gw), g.Addrs)
	}}}, nil
}

// isDefault says whether the route is the default one through the interface, of no
// metric, as a gateway makes it; one that a router advertised is not.
func (s *Site) isDefault(r rtnl.Route) bool {
	k := rtnl.Route{Family: r.Family, Dst: r.Dst}
	return s.Link != nil && r.Index == s.Link.Index && r.Protocol() != unix.RTPROT_RA && r.Dst.Bits() == 0 && r.Table == unix.RT_TABLE_MAIN && r.SameKey(k)
}

// ours is a route through the interface that pipework made, which its protocol tells.
func (s *Site) ours(dst netip.Prefix, via netip.Addr) rtnl.Route {
	return rtnl.Via(dst, via, s.Link.Index).By(rtnl.Protocol)
}

// hop is the host route to a gateway.
func (s *Site) hop(gw netip.Addr) rtnl.Route {
	return s.ours(netip.PrefixFrom(gw, gw.BitLen()), netip.Addr{})
}

// hops are the host routes to those gateways that no address covers.
func (g Gateways) hops(s *Site) (list []rtnl.Route) {
	for _, gw := range g.Via {
		if !covers(g.Addrs, gw) {
			list = append(list, s.hop(gw))
		}
	}
	return list
}

// defaultTo is the destination of the gateway's default route.
func defaultTo(gw netip.Addr) netip.Prefix {
	if gw.Is6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// covers says whether one of the addresses makes gw reachable.
func covers(addrs []netip.Prefix, gw netip.Addr) bool {
	return gw.IsLinkLocalUnicast() && gw.Is6() ||
		slices.ContainsFunc(addrs, func(p netip.Prefix) bool { return p.Contains(gw) })
}

// addHop adds the host route to a gateway that no address covers.
func (s *Site) addHop(ctx context.Context, ours rtnl.Route, addrs []netip.Prefix) error {
	c, gw := s.Port.Conn, ours.Gateway
	if covers(addrs, gw) {
		return nil
	}
	// Beside one through another interface, not instead of it.
	hop := s.hop(gw).By(ours.Protocol())
	if err := hop.Add(ctx, c); err != nil {
		return err
	}
	s.Undo.Push("route to "+gw.String(), func(ctx context.Context) error { return hop.Delete(ctx, c) })
	return nil
}

func (s *Site) deleteAll(ctx context.Context, routes []rtnl.Route) error {
	for _, r := range routes {
		if err := r.Delete(ctx, s.Port.Conn); err != nil {
			return err
		}
		s.Undo.Push(r.String(), func(ctx context.Context) error { return r.Add(ctx, s.Port.Conn) })
	}
	return nil
}
