package keep

import (
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
)

// merge is the older Declared with what a newer one for the same interface added. What
// cannot be had together is the newer one's alone.
func merge(old, now Declared) Declared {
	both := old
	s := &both.Spec
	s.Addrs = union(old.Spec.Addrs, now.Spec.Addrs)
	s.Routes = union(old.Spec.Routes, now.Spec.Routes)
	for _, g := range now.Spec.Gateways { // each takes the place of its family's
		s.Gateways = append(slices.DeleteFunc(slices.Clone(s.Gateways), func(was netip.Addr) bool { return was.Is4() == g.Is4() }), g)
	}
	s.Gateways = slices.SortedFunc(slices.Values(s.Gateways), netip.Addr.Compare)
	s.SLAAC = s.SLAAC || now.Spec.SLAAC
	s.Link = mergeLink(old.Spec.Link, now.Spec.Link)
	switch {
	case now.Program != nil:
		both.Program, s.DHCP = mergeProgram(old.Program, *now.Program), nil
	case now.Spec.DHCP != nil:
		both.Program, s.DHCP = nil, mergeDHCP(old.Spec.DHCP, *now.Spec.DHCP)
	}
	if both.Program != nil && slices.ContainsFunc(s.Addrs, func(p netip.Prefix) bool { return p.Addr().Is4() }) {
		return now // a program takes other IPv4 addresses away
	}
	return both
}

// union is a, and then what b has beside.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// mergeLink is the older backend, with the newer one's word on the firewall where it has
// one, and with its addresses of a pair's other end.
func mergeLink(old, now link.Backend) link.Backend {
	switch was := old.(type) {
	case link.Bridge:
		if b, is := now.(link.Bridge); is && b.Firewall != link.FirewallOwn {
			was.Firewall = b.Firewall
			return was
		}
	case link.Veth:
		if v, is := now.(link.Veth); is {
			was.HostAddrs, was.PeerAddrs = union(was.HostAddrs, v.HostAddrs), union(was.PeerAddrs, v.PeerAddrs)
			return was
		}
	}
	return old
}

// mergeProgram is the newer program, with the older one's options where it has none.
func mergeProgram(old *Program, now Program) *Program {
	if old != nil && old.Name == now.Name && old.Stay == now.Stay && len(now.Options) == 0 {
		now.Options = old.Options
	}
	return &now
}

// mergeDHCP asks for the leases of both, with the options of the newer one, or of the
// older one where it has none.
func mergeDHCP(old *dhcp.Config, now dhcp.Config) *dhcp.Config {
	if old == nil {
		return &now
	}
	both := *old
	if options(now) != options(dhcp.Config{}) {
		both = now
		if both.ResolvConf == "" {
			both.ResolvConf = old.ResolvConf
		}
	} else if now.ResolvConf != "" {
		both.ResolvConf = now.ResolvConf
	}
	if both.Family = now.Family; old.Family != now.Family {
		both.Family = dhcp.Both
	}
	return &both
}

// options is the text of what a Config says beside the family and the resolv.conf.
func options(c dhcp.Config) string {
	c.Family, c.ResolvConf = "", ""
	b, _ := json.Marshal(c)
	return string(b)
}
