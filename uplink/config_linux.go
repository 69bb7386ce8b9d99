package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/hostconf"
	"github.com/go-pipework/pipework/internal/rtnl"
)

func (p Plan) config(ctx context.Context, manager string) ([]ConfigFile, error) {
	p.DryRun = true
	ctx = fault.ReadOnly(ctx)
	j, end, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if err != nil {
		return nil, fmt.Errorf("%w that could be put under %s: see `ip link`", err, j.Bridge)
	}
	b := hostconf.Bridge{Name: j.Bridge, NIC: j.NIC, MAC: nic.MAC, MTU: nic.MTU, OVS: j.spelled == "ovs" || strings.HasPrefix(j.Bridge, "ovs") && j.spelled == ""}
	from := nic
	br, err := rtnl.LinkByName(ctx, j.host.Conn, j.Bridge)
	switch {
	case err == nil:
		b.OVS = br.Kind == "openvswitch"
		if b.OVS && nic.Master != 0 || nic.Master == br.Index {
			from = br
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := j.describe(ctx, &b, from); err != nil {
		return nil, err
	}
	return hostconf.Write(manager, b)
}

// describe notes what the link has, and who gives it.
func (j *job) describe(ctx context.Context, b *hostconf.Bridge, l *rtnl.Link) error {
	addrs, err := rtnl.WholeAddrs(ctx, j.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, s := range rtnl.InOrder(addrs) {
		a, ok := s.Addr()
		switch is4 := a.Prefix.Addr().Is4(); {
		case !ok:
		case a.Valid != rtnl.Forever && is4:
			b.DHCP4 = true
		case a.Valid != rtnl.Forever:
			b.Advertised = true
		default:
			b.Addrs = append(b.Addrs, a.Prefix)
		}
	}
	b.Unsaid = append(b.Unsaid, "name servers and search domains: take over what is said of "+b.NIC)
	// IPv4 first: the order within a family is the one to make them in.
	slices.SortStableFunc(b.Addrs, func(a, b netip.Prefix) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	routes, err := rtnl.WholeRoutes(ctx, j.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, r := range routes {
		switch r.Protocol() {
		case unix.RTPROT_DHCP:
			b.DHCP4 = b.DHCP4 || r.Family == unix.AF_INET
		case unix.RTPROT_RA:
			b.Advertised = true
		}
	}
	for _, r := range routes {
		one, ok := said(r)
		switch {
		case !r.Static(), b.DHCP4 && r.Family == unix.AF_INET && r.Dst.Bits() == 0 && r.Protocol() == unix.RTPROT_BOOT: // as dhclient's script makes it
		case !ok:
			b.Unsaid = append(b.Unsaid, fmt.Sprintf("route %s", r))
		default:
			b.Routes = append(b.Routes, one)
		}
	}
	return nil
}

// said is a route as files can say it; not ok are those with several next hops, and of other types
// than unicast.
func said(r rtnl.Route) (hostconf.Route, bool) {
	dst := r.Dst
	if !dst.IsValid() || !dst.Addr().IsValid() {
		dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if r.Family == unix.AF_INET {
			dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
	}
	return hostconf.Route{Dst: dst, Gateway: r.Gateway, Src: r.Src, Metric: r.Metric, Table: r.Table, OnLink: rtnl.OnLink(r)}, len(r.Hops()) == 1 && r.Index != 0 && rtnl.Unicast(r)
}
