package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Plug makes the pair; see [Backend].
func (v Veth) Plug(ctx context.Context, p *Port, u *Undo) error {
	p.HostName = v.HostName
	if err := PlugVeth(ctx, p, u, 0); err != nil || len(v.HostAddrs) == 0 {
		return err
	}
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return err
	}
	for _, a := range v.HostAddrs { // they go with the pair, also on the way back
		if err := addHostAddr(ctx, p, host, a); err != nil {
			return err
		}
	}
	return nil
}

func addHostAddr(ctx context.Context, p *Port, host *rtnl.Link, a netip.Prefix) error {
	err := rtnl.AddSureAddr(ctx, p.Host.Conn, host.Index, a)
	switch {
	case errors.Is(err, unix.EACCES):
		return errs.New(fs.ErrPermission, "%w to %s: IPv6 is off on the host: set net.ipv6.conf.default.disable_ipv6 to 0", err, host.Name)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return errs.New(errors.ErrUnsupported, "%w to %s: this kernel has no IPv6: CONFIG_IPV6, or booted with ipv6.disable=1", err, host.Name)
	case err != nil:
		return fmt.Errorf("%s: %w", host.Name, err)
	}
	return nil
}

// Check finds the host's end and its addresses; see [Backend].
func (v Veth) Check(ctx context.Context, p *Port) ([]Drift, error) {
	drifts, err := CheckVeth(ctx, p)
	if err != nil || len(v.HostAddrs) == 0 && !p.Exact {
		return drifts, err
	}
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return nil, err
	}
	have, err := rtnl.Addrs(ctx, p.Host.Conn, host.Index)
	if err != nil {
		return nil, err
	}
	for _, a := range v.HostAddrs {
		if slices.ContainsFunc(have, func(h rtnl.Addr) bool { return h.Prefix == a }) {
			continue
		}
		drifts = append(drifts, Drift{What: fmt.Sprintf("host end %s lacks %s", host.Name, a), Mend: func(ctx context.Context, u *Undo) error {
			u.Push("address of "+host.Name, func(ctx context.Context) error { return rtnl.DelAddr(ctx, p.Host.Conn, host.Index, a) })
			return addHostAddr(ctx, p, host, a)
		}})
	}
	for _, h := range have {
		if a := h.Prefix; p.Exact && !h.ByKernel() && !slices.Contains(v.HostAddrs, a) {
			drifts = append(drifts, Drift{Chosen: true, What: fmt.Sprintf("host end %s has %s", host.Name, a), Mend: func(ctx context.Context, u *Undo) error {
				u.Push("address of "+host.Name, func(ctx context.Context) error { return addHostAddr(ctx, p, host, a) })
				return rtnl.DelAddr(ctx, p.Host.Conn, host.Index, a)
			}})
		}
	}
	return drifts, nil
}

// Unplug removes the pair; see [Backend].
func (Veth) Unplug(ctx context.Context, p *Port) error { return UnplugVeth(ctx, p) }

// UnplugAll removes the pairs together; see [BatchUnplugger].
func (Veth) UnplugAll(ctx context.Context, calls []*Call) { UnplugVeths(ctx, calls) }
