package cni

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
)

// A result is what the runtime is told.
type result = types100.Result

// A given is what an ipam plugin gave.
type given struct {
	addrs    []netip.Prefix
	gateways []netip.Addr // in their order, of those addresses that have one
	routes   []link.Route
	dns      types.DNS
}

// ipam asks the ipam plugin for addresses.
func (c *call) ipam(ctx context.Context) (*given, error) {
	r, err := invoke.DelegateAdd(ctx, c.conf.IPAM.Type, c.StdinData, nil)
	if err != nil {
		return nil, fmt.Errorf("ipam: %w", err)
	}
	g, err := gave(r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ipam: %w", err), c.giveBack())
	}
	return g, nil
}

func gave(from types.Result) (*given, error) {
	r, err := types100.NewResultFromResult(from)
	if err != nil {
		return nil, err
	}
	if len(r.IPs) == 0 {
		return nil, errors.New("it gave no address")
	}
	g := &given{dns: r.DNS}
	for _, ip := range r.IPs {
		p, ok := prefixOf(ip.Address)
		if !ok {
			return nil, fmt.Errorf("it gave %v, which is no address", ip.Address)
		}
		g.addrs = append(g.addrs, p)
		if gw, ok := netip.AddrFromSlice(ip.Gateway); ok {
			g.gateways = append(g.gateways, gw.Unmap())
		}
	}
	for _, to := range r.Routes {
		dst, ok := prefixOf(to.Dst)
		if !ok {
			return nil, fmt.Errorf("it gave a route to %v, which is no subnet", to.Dst)
		}
		route := link.Route{Dst: dst.Masked(), Via: g.router(to.GW, dst.Addr().Is4()), Metric: uint32(max(0, to.Priority))}
		if to.Table != nil {
			route.Table = uint32(max(0, *to.Table))
		}
		g.routes = append(g.routes, route)
	}
	return g, nil
}

func prefixOf(n net.IPNet) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, bits), ok && size == addr.BitLen()
}

// router is the next router of a route, or else the gateway of the first address of the family.
func (g *given) router(ip net.IP, is4 bool) netip.Addr {
	if via, ok := netip.AddrFromSlice(ip); ok {
		return via.Unmap()
	}
	if i := slices.IndexFunc(g.gateways, func(a netip.Addr) bool { return a.Is4() == is4 }); i >= 0 {
		return g.gateways[i]
	}
	return netip.Addr{}
}

// into is added to what the configuration asks for. A plain default route is a gateway, of which
// a Spec may have one a family: so the default routes that it displaces come back.
func (g *given) into(s *pipework.Spec) {
	s.Addrs = append(slices.Clip(s.Addrs), g.addrs...)
	s.Gateways, s.Routes = slices.Clip(s.Gateways), slices.Clip(s.Routes)
	for _, r := range g.routes {
		plain := r.Dst.Bits() == 0 && r.Via.IsValid() && r.Metric == 0 && r.Table == 0
		has := slices.ContainsFunc(s.Gateways, func(a netip.Addr) bool { return a.Is4() == r.Via.Is4() })
		switch {
		case plain && !has:
			s.Gateways = append(s.Gateways, r.Via)
		case !plain:
			s.Routes = append(s.Routes, r)
		}
	}
}

// with is the result with one more interface, and its end on the host. It changes r.
func with(r *result, at *pipework.Attachment, netns string) *result {
	if at.HostName != "" {
		r.Interfaces = append(r.Interfaces, &types100.Interface{Name: at.HostName})
	}
	r.Interfaces = append(r.Interfaces, &types100.Interface{Name: at.Name, Mac: at.MAC.String(), Mtu: at.MTU, Sandbox: netns})
	for _, p := range at.Addrs {
		ip := &types100.IPConfig{Interface: types100.Int(len(r.Interfaces) - 1), Address: netOf(p)}
		for _, gw := range at.Gateways {
			if gw.Is4() == p.Addr().Is4() {
				ip.Gateway = gw.AsSlice()
			}
		}
		r.IPs = append(r.IPs, ip)
	}
	return r
}

func netOf(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// routesOf are the routes of the attachment: by its gateways, and those that were asked for.
func routesOf(s pipework.Spec, at *pipework.Attachment) (all []*types.Route) {
	for _, gw := range at.Gateways {
		all = append(all, &types.Route{Dst: netOf(netip.PrefixFrom(unspecified(gw), 0)), GW: gw.AsSlice()})
	}
	for _, r := range s.Routes {
		route := &types.Route{Dst: netOf(r.Dst), GW: r.Via.AsSlice(), Priority: int(r.Metric)}
		if r.Table != 0 {
			table := int(r.Table)
			route.Table = &table
		}
		all = append(all, route)
	}
	return all
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// dns is what the configuration says of name servers, or else the ipam plugin, or the leases.
func (c *call) dns(g *given, at *pipework.Attachment) types.DNS {
	for _, d := range []types.DNS{c.conf.DNS, g.dns} {
		if !d.IsEmpty() {
			return d
		}
	}
	var d types.DNS
	if at.Lease != nil {
		d.Domain = at.Lease.Domain
		for _, a := range at.Lease.DNS {
			d.Nameservers = append(d.Nameservers, a.String())
		}
		d.Search = at.Lease.Search
	}
	if at.Lease6 != nil {
		for _, a := range at.Lease6.DNS {
			d.Nameservers = append(d.Nameservers, a.String())
		}
	}
	return d
}
