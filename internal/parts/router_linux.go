package parts

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

const (
	// slaacTime bounds the wait for an address from a router advertisement: the
	// kernel asks for one three times, four seconds apart (RFC 4861, 6.3.7).
	slaacTime = 14 * time.Second
	// routerTime bounds the wait for a default route beside a DHCPv6 address. Routers
	// answer within half a second; the kernel asked them before we asked the server.
	routerTime = 2 * time.Second
	// askTime is when they are asked again, should the first time have been in vain.
	askTime = routerTime / 4
)

// Routers waits for what router advertisements bring: addresses where SLAAC is asked
// for, and a default route. The lack of a route is only a warning.
type Routers Advertisements

var (
	_ Part      = Routers{}
	_ Refresher = Routers{}
)

// A router is what a Site hears from routers.
type router struct{ *Site }

// Apply waits; see [Part].
func (r Routers) Apply(ctx context.Context, s *Site) error {
	if !r.Wanted {
		return nil
	}
	if err := announce.WaitForwarding(ctx, s.Port); err != nil {
		return err
	}
	if r.SLAAC {
		s.Log(ctx, "await SLAAC")
		none := errs.New(os.ErrDeadlineExceeded, "no router has advertised addresses on %s within %v: is there one, and does it advertise a prefix for SLAAC?", s.Link.Name, slaacTime)
		bounded, cancel := context.WithTimeoutCause(ctx, slaacTime, none)
		defer cancel()
		addrs, err := dhcp.AwaitSLAAC(bounded, s.Port.Guest.Handle, s.Link.Index)
		if err != nil {
			return err
		}
		s.Addrs = append(s.Addrs, addrs...)
	}
	if r.OwnGateway {
		return nil
	}
	if gw, err := learningOf(s).otherGateway(ctx); gw != nil || err != nil {
		if gw != nil {
			s.Port.Warn("no default route is learned from routers on %s while the guest has the gateway %s", s.Link.Name, gw.Gateway)
		}
		return err
	}
	gateways, err := router{s}.awaitDefault(ctx)
	if err == nil && len(gateways) == 0 {
		s.Port.Warn("no router has advertised a default route on %s within %v: only what other IPv6 routes lead to can be reached", s.Link.Name, routerTime)
	}
	if err != nil || len(gateways) == 0 {
		return err
	}
	return router{s}.warnOfOutranked(ctx)
}

// warnOfOutranked notes the gateways that routers advertised, and warns of those that
// traffic does not follow.
func (s router) warnOfOutranked(ctx context.Context) error {
	now, err := rtnl.Defaults(ctx, s.Port.Conn, unix.AF_INET6, unix.RT_TABLE_MAIN)
	for i, r := range now {
		if r.Index != s.Link.Index || !r.Gateway.IsValid() || slices.Contains(s.Gateways, r.Gateway) {
			continue
		}
		if first := s.stack().outranks(i, now); first != nil {
			s.Port.Warn("a router advertises itself on %s (%s), and the guest's %s comes before that: give %s as the gateway to have it otherwise", s.Link.Name, r.Gateway, first, r.Gateway)
			continue
		}
		s.Gateways = append(s.Gateways, r.Gateway)
	}
	return err
}

// Compare tells whether all advertised addresses are gone; Refresh waits for new ones.
func (r Routers) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	if !r.SLAAC {
		return d, nil
	}
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err == nil && !slices.ContainsFunc(addrs, rtnl.Addr.Advertised) {
		d.Missing = gone("every address from a router advertisement")
	}
	return d, err
}

// gone is a drift that Refresh mends.
func gone(what string) []link.Drift {
	return []link.Drift{{What: what + " is gone", Mend: func(context.Context, *link.Undo) error { return nil }}}
}

// Refresh waits again. Where something is to come it asks for that first: by itself a
// router may advertise it in minutes only. See [Refresher].
func (r Routers) Refresh(ctx context.Context, s *Site) error {
	lacks, err := r.lacks(ctx, s)
	if err != nil {
		return err
	}
	if lacks {
		if err := announce.WaitForwarding(ctx, s.Port); err != nil {
			return err
		}
		router{s}.solicit(ctx)
	}
	return r.Apply(ctx, s)
}

// lacks says whether something is to come from routers that is not there.
func (r Routers) lacks(ctx context.Context, s *Site) (bool, error) {
	if d, err := r.Compare(ctx, s); len(d.Missing) > 0 || err != nil {
		return true, err
	}
	if !r.Wanted || r.OwnGateway {
		return false, nil
	}
	if gw, err := learningOf(s).otherGateway(ctx); gw != nil || err != nil {
		return false, err
	}
	gateways, err := router{s}.advertisedGateways(ctx)
	return len(gateways) == 0, err
}

// solicit asks the routers to advertise themselves. That it cannot is no failure: the
// kernel asks, too.
func (s router) solicit(ctx context.Context) {
	if err := announce.SolicitRouters(ctx, s.Port); err != nil {
		s.Log(ctx, "solicit routers", "error", err)
	}
}

// Asks is nothing beside what [Advertisements] does; see [Part].
func (Routers) Asks(context.Context, *Site) ([]string, error) { return nil, nil }

// Remove has nothing to do: what routers advertised goes with the interface.
func (Routers) Remove(context.Context, *Site) error { return nil }

// advertisedGateways are those of the IPv6 default routes through the interface that
// pipework did not make: that one may go yet.
func (s router) advertisedGateways(ctx context.Context) (gateways []netip.Addr, err error) {
	routes, err := rtnl.Defaults(ctx, s.Port.Conn, unix.AF_INET6, unix.RT_TABLE_MAIN)
	for _, r := range routes {
		if r.Index == s.Link.Index && r.Protocol() != rtnl.Protocol && r.Gateway.IsValid() && !slices.Contains(gateways, r.Gateway) {
			gateways = append(gateways, r.Gateway)
		}
	}
	return gateways, err
}

// awaitDefault waits until the kernel has one from a router.
func (s router) awaitDefault(ctx context.Context) (gateways []netip.Addr, err error) {
	events, err := rtnl.Listen(ctx, s.Port.Guest.Handle)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	for _, wait := range [...]time.Duration{askTime, routerTime - askTime} {
		bounded, cancel := context.WithTimeout(ctx, wait)
		err = events.Until(bounded, func() (bool, error) {
			gateways, err = s.advertisedGateways(bounded)
			return len(gateways) > 0, err
		})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return gateways, err
		}
		if wait == askTime {
			s.solicit(ctx)
		}
	}
	return nil, nil
}
