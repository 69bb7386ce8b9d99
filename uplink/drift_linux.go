package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// A drift is one difference from what was recorded.
type drift struct {
	what    string
	missing bool // there is nothing else to compare
	mend    func(context.Context) error
}

// drifts are the differences, in the order to mend them in.
func (j drifter) drifts(ctx context.Context, r *record) (list []drift, err error) {
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if errors.Is(err, fs.ErrNotExist) {
		return []drift{{j.NIC + " is gone", true, func(context.Context) error {
			return errs.New(fs.ErrNotExist, "it may come back; or else pipework uplink --undo %s %s", j.Bridge, j.NIC)
		}}}, nil
	}
	if err != nil {
		return nil, err
	}
	br, err := j.kind.find(ctx)
	if err != nil {
		return nil, err
	}
	if br == nil {
		return []drift{{j.Bridge + " is gone", true, func(ctx context.Context) error { return j.again(ctx, r) }}}, nil
	}
	if r.recreated(br) {
		return []drift{{j.Bridge + " was made again, without the host's addresses", true, func(ctx context.Context) error { return j.again(ctx, r) }}}, nil
	}
	for _, l := range []*rtnl.Link{nic, br} {
		if !l.Up {
			list = append(list, drift{what: l.Name + " is down", mend: func(ctx context.Context) error { return rtnl.SetLink(ctx, j.host.Conn, l.Name, "") }})
		}
	}
	ports, err := j.driftOfPort(ctx, r, nic, br)
	if err != nil {
		return nil, err
	}
	list = append(list, ports...)
	want, err := r.lasting(j.NIC, br)
	if err != nil {
		return nil, err
	}
	addrs, err := j.driftOfAddrs(ctx, want, nic, br)
	if err != nil {
		return nil, err
	}
	routes, err := j.driftOfRoutes(ctx, want, br)
	return slices.Concat(list, addrs, routes), err
}

// again makes a bridge again that is gone. Where that fails the NIC has what is its own, and it is
// recorded that it is to be tried again.
func (j drifter) again(ctx context.Context, r *record) error {
	ctx, end := finish.Context(ctx)
	defer end()
	if err := j.restore(ctx, r); err != nil {
		return err
	}
	j.Managed, j.taken = true, r.Taken // as it was permitted before
	_, err := j.put(ctx)
	if err == nil {
		return nil
	}
	if left, failed := j.read(ctx); left != nil || failed != nil {
		return errs.Join(err, failed) // what is left of this is undone first
	}
	return errs.Join(err, j.write(ctx, r))
}

// driftOfPort compares what the NIC is to be part of, and who may be the host's routers.
func (j drifter) driftOfPort(ctx context.Context, r *record, nic, br *rtnl.Link) (list []drift, err error) {
	// Both do nothing where there is nothing to do; one of Open vSwitch also puts its flows.
	again := func(ctx context.Context) error {
		if err := j.keepRouters(ctx, nic, br, r.sign()); err != nil {
			return err
		}
		return j.kind.enslave(ctx, r, nic, br)
	}
	flows := ""
	if r.sign() != 0 {
		flows = ", or the bridge's flows,"
	}
	if !j.routersKept(ctx, r.sign()) {
		list = append(list, drift{what: fmt.Sprintf("guests on %s could be routers of the host's: the tables pipework-uplink-%s of nftables%s are not as they were", j.Bridge, j.Bridge, flows), mend: again})
	}
	enslaved, err := j.kind.enslaved(ctx, r, nic, br)
	switch {
	case enslaved, err != nil:
	case nic.Master == 0:
		list = append(list, drift{what: fmt.Sprintf("%s is no port of %s", j.NIC, j.Bridge), mend: again})
	default:
		list = append(list, drift{what: fmt.Sprintf("%s is part of something else than %s", j.NIC, j.Bridge), mend: func(context.Context) error {
			return errs.New(fs.ErrInvalid, "ip link set %s master %s", j.NIC, j.Bridge)
		}})
	}
	return list, err
}

// lasting is what of the record nobody gives and takes: no leases, and nothing of routers.
func (r *record) lasting(nic string, br *rtnl.Link) (s state, err error) {
	if s, err = r.state(nic, br); err != nil {
		return s, err
	}
	var leased []netip.Prefix
	s.addrs = slices.DeleteFunc(s.addrs, func(b rtnl.Saved) bool {
		a, ok := b.Addr()
		ends := ok && a.Valid != rtnl.Forever
		if ends {
			leased = append(leased, a.Prefix.Masked())
		}
		return !ok || ends
	})
	s.routes = slices.DeleteFunc(s.routes, func(route rtnl.Route) bool {
		byLease := func(p netip.Prefix) bool { return route.Gateway.IsValid() && p.Contains(route.Gateway) }
		return !route.Static() || slices.ContainsFunc(leased, byLease)
	})
	return s, nil
}

// driftOfAddrs compares addresses: which the bridge lacks, and which the NIC has, too.
func (j drifter) driftOfAddrs(ctx context.Context, want state, nic, br *rtnl.Link) (list []drift, err error) {
	have, err := addrsOf(ctx, j.mover, br)
	if err != nil {
		return nil, err
	}
	for _, s := range rtnl.InOrder(want.addrs) {
		a, _ := s.Addr()
		if !have[a.Prefix] {
			have[a.Prefix] = true
			list = append(list, drift{what: fmt.Sprintf("address %s is gone", a.Prefix), mend: func(ctx context.Context) error { return s.RestoreAddr(ctx, j.host.Conn, want.home) }})
		}
	}
	stray, err := rtnl.WholeAddrs(ctx, j.host.Conn, nic.Index)
	for _, s := range stray {
		if a, ok := s.Addr(); ok && have[a.Prefix] {
			list = append(list, drift{what: fmt.Sprintf("%s has the address %s of %s, too", nic.Name, a.Prefix, br.Name), mend: func(ctx context.Context) error { return s.DelAddr(ctx, j.host.Conn, nic.Index) }})
		}
	}
	return list, err
}

func addrsOf(ctx context.Context, m mover, l *rtnl.Link) (map[netip.Prefix]bool, error) {
	all, err := rtnl.WholeAddrs(ctx, m.host.Conn, l.Index)
	have := map[netip.Prefix]bool{}
	for _, s := range all {
		if a, ok := s.Addr(); ok {
			have[a.Prefix] = true
		}
	}
	return have, err
}

// driftOfRoutes compares routes.
func (j drifter) driftOfRoutes(ctx context.Context, want state, br *rtnl.Link) (list []drift, err error) {
	have, err := rtnl.WholeRoutes(ctx, j.host.Conn, br.Index)
	for _, r := range missing(want.routes, have) {
		list = append(list, drift{what: fmt.Sprintf("route %s is gone", r), mend: func(ctx context.Context) error { return j.mendRoute(ctx, want, r, br) }})
	}
	return list, err
}

// mendRoute puts a route again, in place of one of IPv4 that somebody put in its place.
func (j drifter) mendRoute(ctx context.Context, want state, r rtnl.Route, br *rtnl.Link) error {
	have, err := rtnl.WholeRoutes(ctx, j.host.Conn, br.Index)
	if err != nil || len(missing([]rtnl.Route{r}, have)) == 0 {
		return err
	}
	for _, h := range missing(have, want.routes) {
		if r.Family == unix.AF_INET && h.Table == r.Table && h.SameKey(r) {
			if err := h.Delete(ctx, j.host.Conn); err != nil {
				return err
			}
		}
	}
	return j.putRoute(ctx, want, r)
}

// routersKept says whether the tables, and flows, are there, as far as this kernel has such; sign is
// that of keepRouters.
func (j drifter) routersKept(ctx context.Context, sign uint8) (kept bool) {
	atNIC, atBridge := j.tables()
	kept = true
	_ = j.do(ctx, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		has := func(t *nftables.Table, name string, rules int) bool {
			chain, err := c.ListChain(t, name)
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
				return true
			}
			if err != nil {
				return false
			}
			all, err := c.GetRules(t, chain)
			return err == nil && len(all) == rules
		}
		kept = has(atBridge, "drop", len(messages))
		if sign == 0 {
			kept = kept && has(atNIC, "mark", len(messages))
		} else {
			kept = kept && has(atNIC, "deaf", 0)
		}
		return nil
	})
	return kept && (sign == 0 || openvswitch(j).signed(ctx))
}
