package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// Plug makes the pair; see [Backend].
func (v Veth) Plug(ctx context.Context, p *Port, u *Undo) error {
	if v.toGuest() {
		return v.plugPeer(ctx, p, u)
	}
	p.HostName = v.HostName
	if err := PlugVeth(ctx, p, u, 0); err != nil || len(v.HostAddrs) == 0 {
		return err
	}
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return err
	}
	return addEndAddrs(ctx, p.Host.Conn, host, v.HostAddrs)
}

// Foretell is what Plug would refuse; see [Foreteller].
func (v Veth) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	if !v.toGuest() {
		return nil, ForetellVeth(ctx, p, v.HostName)
	}
	o, err := v.openPeer(ctx, p)
	if err != nil {
		return nil, err
	}
	defer o.close()
	_, err = rtnl.LinkByName(ctx, o.conn, v.PeerName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, cmp.Or(err, v.peerTaken(o))
}

// addEndAddrs gives addresses to the other end of a pair. They go with the pair, also on
// the way back.
func addEndAddrs(ctx context.Context, c *ns.Conn, end *rtnl.Link, addrs []netip.Prefix) error {
	for _, a := range addrs {
		if err := addEndAddr(ctx, c, end, a); err != nil {
			return err
		}
	}
	return nil
}

func addEndAddr(ctx context.Context, c *ns.Conn, end *rtnl.Link, a netip.Prefix) error {
	err := rtnl.AddSureAddr(ctx, c, end.Index, a)
	switch {
	case errors.Is(err, unix.EACCES):
		return errs.New(fs.ErrPermission, "%w to %s: IPv6 is off there: set net.ipv6.conf.default.disable_ipv6 to 0", err, end.Name)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return errs.New(errors.ErrUnsupported, "%w to %s: this kernel has no IPv6: CONFIG_IPV6, or booted with ipv6.disable=1", err, end.Name)
	case err != nil:
		return fmt.Errorf("%s: %w", end.Name, err)
	}
	return nil
}

// Check finds the other end and its addresses; see [Backend].
func (v Veth) Check(ctx context.Context, p *Port) ([]Drift, error) {
	if v.toGuest() {
		return v.checkPeer(ctx, p)
	}
	drifts, err := CheckVeth(ctx, p)
	if err != nil || len(v.HostAddrs) == 0 && !p.Exact {
		return drifts, err
	}
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return nil, err
	}
	end := otherEnd{link: host, what: "host end " + host.Name, do: func(_ context.Context, f func(*ns.Conn) error) error { return f(p.Host.Conn) }}
	addrs, err := end.addrDrifts(ctx, v.HostAddrs, p.Exact)
	return append(drifts, addrs...), err
}

// An otherEnd is the end of a pair that is not the guest's.
type otherEnd struct {
	link *rtnl.Link
	what string // "host end veth1pl123", for people
	// do calls a function with a connection to where it is.
	do func(context.Context, func(*ns.Conn) error) error
}

// addrDrifts compares its addresses with those that are asked for.
//
//nolint:revive // as of Port.Exact
func (e otherEnd) addrDrifts(ctx context.Context, want []netip.Prefix, exact bool) (drifts []Drift, err error) {
	var have []rtnl.Addr
	err = e.do(ctx, func(c *ns.Conn) (err error) {
		have, err = rtnl.Addrs(ctx, c, e.link.Index)
		return err
	})
	if err != nil {
		return nil, err
	}
	var had []netip.Prefix
	for _, h := range have {
		if !h.ByKernel() {
			had = append(had, h.Prefix)
		}
	}
	for _, a := range want {
		if !slices.ContainsFunc(have, func(h rtnl.Addr) bool { return h.Prefix == a }) {
			drifts = append(drifts, Drift{What: fmt.Sprintf("%s lacks %s", e.what, a), Mend: func(ctx context.Context, u *Undo) error {
				before := beside(a, had)
				u.Push("address of "+e.link.Name, e.readdress(append([]netip.Prefix{a}, before...), before))
				return e.readdress(nil, []netip.Prefix{a})(ctx)
			}})
		}
	}
	for _, a := range had {
		if exact && !slices.Contains(want, a) {
			drifts = append(drifts, Drift{Chosen: true, What: fmt.Sprintf("%s has %s", e.what, a), Mend: func(ctx context.Context, u *Undo) error {
				before := beside(a, had)
				u.Push("address of "+e.link.Name, e.readdress(before, before))
				return e.readdress([]netip.Prefix{a}, beside(a, want))(ctx)
			}})
		}
	}
	return drifts, nil
}

// readdress removes addresses, and then adds others, or the same in this order. With the
// first IPv4 address of a subnet the kernel removes the others of the subnet, too, unless
// it is to make the next one the first (promote_secondaries): they are added again.
func (e otherEnd) readdress(remove, add []netip.Prefix) func(context.Context) error {
	return func(ctx context.Context) error {
		return e.do(ctx, func(c *ns.Conn) error {
			for _, a := range remove {
				if err := rtnl.DelAddr(ctx, c, e.link.Index, a); err != nil {
					return err
				}
			}
			return addEndAddrs(ctx, c, e.link, add)
		})
	}
}

// beside are those of the addresses that are in the subnet of a.
func beside(a netip.Prefix, addrs []netip.Prefix) (list []netip.Prefix) {
	for _, b := range addrs {
		if b.Addr().Is4() == a.Addr().Is4() && b.Overlaps(a) {
			list = append(list, b)
		}
	}
	return list
}

// Unplug removes the pair; see [Backend].
func (v Veth) Unplug(ctx context.Context, p *Port) error {
	if v.toGuest() {
		return v.unplugPeer(ctx, p)
	}
	return UnplugVeth(ctx, p)
}

// UnplugAll removes the pairs together; see [BatchUnplugger].
func (Veth) UnplugAll(ctx context.Context, calls []*Call) {
	var toHost []*Call
	for _, c := range calls {
		if v, is := c.Backend.(Veth); is && v.toGuest() {
			c.Err = v.Unplug(ctx, c.Port)
		} else {
			toHost = append(toHost, c)
		}
	}
	UnplugVeths(ctx, toHost)
}
