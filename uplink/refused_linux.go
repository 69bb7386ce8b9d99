package uplink

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file says why a NIC cannot be put under a bridge. Nothing is changed.

// routesMost bounds the routes that are moved: a router's whole table is its daemon's.
const routesMost = 4096

// look finds the NIC, and the bridge, which is nil where there is none.
func (j refuser) look(ctx context.Context) (nic, br *rtnl.Link, err error) {
	if nic, err = rtnl.LinkByName(ctx, j.host.Conn, j.NIC); err != nil {
		return nil, nil, fmt.Errorf("%w that could be put under %s: see `ip link`", err, j.Bridge)
	}
	if err := j.choose(ctx); err != nil {
		return nil, nil, err
	}
	if br, err = j.kind.find(ctx); err != nil {
		return nil, nil, err
	}
	for _, refused := range j.refusals(ctx, nic, br) {
		if err := refused(); err != nil {
			return nil, nil, err
		}
	}
	return nic, br, nil
}

// refusals say, each, why it cannot be done; nil is none.
func (j refuser) refusals(ctx context.Context, nic, br *rtnl.Link) []func() error {
	return []func() error{
		func() error { return j.refusedElsewhere(ctx, nic) },
		func() error { return j.refusedNIC(ctx, nic) },
		func() error { return j.refusedUpper(ctx, nic) },
		func() error { return j.refusedWireless(ctx, nic) },
		func() error { return j.kind.refused(ctx, nic, br) },
		func() error { return j.refusedRules(ctx) },
		func() error { return j.refusedRoutes(ctx, nic) },
		func() error { return j.refusedManaged(ctx, nic) },
	}
}

func (j refuser) refusedNIC(ctx context.Context, nic *rtnl.Link) error {
	switch {
	case nic.Master != 0:
		return j.partOf(ctx, nic)
	case nic.Type == unix.ARPHRD_LOOPBACK:
		return errs.New(fs.ErrInvalid, "%s is the loopback: name a NIC, as ip link shows them", nic.Name)
	case nic.Type != unix.ARPHRD_ETHER || len(nic.MAC) != 6:
		return errs.New(fs.ErrInvalid, "%s is no Ethernet interface, and bridges take no other ones", nic.Name)
	case nic.Kind == "bridge", nic.Kind == "openvswitch":
		return errs.New(fs.ErrInvalid, "%s is itself a bridge: plug guests into it", nic.Name)
	case nic.Kind == "macvlan", nic.Kind == "ipvlan":
		return errs.New(fs.ErrInvalid, "%s is a %s interface, which gets no frames for guests: name the NIC that it stands on", nic.Name, nic.Kind)
	case !nic.Up:
		return errs.New(fs.ErrInvalid, "%s is down: ip link set %s up", nic.Name, nic.Name)
	}
	return nil
}

// partOf is the error of a NIC that is part of something else.
func (j refuser) partOf(ctx context.Context, nic *rtnl.Link) error {
	master, err := rtnl.LinkByIndex(ctx, j.host.Conn, nic.Master)
	if err != nil {
		return err
	}
	switch master.Kind {
	case "bond", "team":
		return errs.New(fs.ErrInvalid, "%s is part of the %s %s: pipework uplink %s %s", nic.Name, master.Kind, master.Name, j.Bridge, master.Name)
	case "openvswitch":
		return errs.New(fs.ErrInvalid, "%s is a port of Open vSwitch: ovs-vsctl del-port %s", nic.Name, nic.Name)
	}
	return errs.New(fs.ErrInvalid, "%s is part of the %s %s already: ip link set %s nomaster", nic.Name, master.Kind, master.Name, nic.Name)
}

// refusedAddrs refuses a bridge with addresses.
func (j refuser) refusedAddrs(ctx context.Context, br *rtnl.Link) error {
	addrs, err := rtnl.WholeAddrs(ctx, j.host.Conn, br.Index)
	if len(addrs) > 0 {
		a, _ := addrs[0].Addr()
		return errs.New(fs.ErrExist, "%s has addresses of its own (%s): ip addr del %s dev %s, or choose another bridge", br.Name, a.Prefix, a.Prefix, br.Name)
	}
	return err
}

// refusedRules refuses a NIC that rules name: they would not match the bridge.
func (j refuser) refusedRules(ctx context.Context) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := rtnl.RulesOf(ctx, j.host.Conn, family, j.NIC)
		if err != nil {
			return err
		}
		if len(rules) > 0 {
			return errs.New(fs.ErrInvalid, "ip rule %d is about %s, and would not be about %s: make one that needs no interface", rules[0].Priority, j.NIC, j.Bridge)
		}
	}
	return nil
}

func (j refuser) refusedRoutes(ctx context.Context, nic *rtnl.Link) error {
	routes, err := rtnl.WholeRoutes(ctx, j.host.Conn, nic.Index)
	if err != nil {
		return err
	}
	if len(routes) > routesMost {
		return errs.New(fs.ErrInvalid, "%d routes lead through %s: stop the routing daemon first, and let it find %s", len(routes), nic.Name, j.Bridge)
	}
	for _, r := range routes {
		if rtnl.ByObject(r) {
			return errs.New(fs.ErrInvalid, "route %s is by a nexthop object, which cannot lead elsewhere: make it one that names %s (ip route replace)", r, nic.Name)
		}
	}
	return j.refusedOrder(ctx, nic, routes)
}

// refusedOrder refuses a route that another one, elsewhere, with the same key comes after: it
// would come last.
func (j refuser) refusedOrder(ctx context.Context, nic *rtnl.Link, mine []rtnl.Route) error {
	dsts := map[netip.Prefix]bool{}
	for _, r := range mine {
		if !r.Joins() && !learned(r) {
			dsts[r.Dst] = true
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		alike, err := rtnl.Routes(ctx, j.host.Conn, family, 0, func(r rtnl.Route) bool { return dsts[r.Dst] && !r.Joins() && !learned(r) })
		if err != nil {
			return err
		}
		for i, r := range alike {
			before := func(o rtnl.Route) bool { return o.Through(nic.Index) && o.Table == r.Table && o.SameKey(r) }
			if !r.Through(nic.Index) && slices.ContainsFunc(alike[:i], before) {
				return errs.New(fs.ErrInvalid, "the route %s by %s comes before one of the same metric by another interface, and would come after it: give one of them another metric", r, nic.Name)
			}
		}
	}
	return nil
}
