//go:build linux

package pipework_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
)

// TestUpdateRouters changes between the default route that routers advertise and one of the
// Spec's, beside that of another interface.
func TestUpdateRouters(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, dhcptest.SLAAC...)
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	yielding(t, g)
	static := dhcpSpec()
	static.DHCP, static.Addrs, static.Gateways = nil, []netip.Prefix{netip.MustParsePrefix("fd77::5/64")}, []netip.Addr{netip.MustParseAddr("fd77::ff")}
	both, advertised := static, static
	both.SLAAC, advertised.SLAAC, advertised.Gateways = true, true, nil
	own, router := []string{"172.20.0.1", "172.20.0.9", "fd77::ff"}, []string{"172.20.0.1", "172.20.0.9", "fd20::1", "fe80::77"}
	attach(t, target, both)
	for _, step := range []struct {
		name     string
		slaac    bool
		defaults []string
		defrtr   string
	}{
		{"routers", true, router, "1"},
		{"own and SLAAC", true, own, "0"},
		{"own", false, own, "0"},
		{"routers again", true, router, "1"},
		{"own and SLAAC again", true, own, "0"},
	} {
		s := advertised
		if s.SLAAC = step.slaac; len(step.defaults) == len(own) {
			s.Gateways = static.Gateways
		}
		at := update(t, target, s)
		if got := defaults(t, g); !slices.Equal(got, step.defaults) || len(at.Warnings) > 0 {
			t.Errorf("%s: default routes %v, want %v, %+v", step.name, got, step.defaults, at)
		}
		if s.Gateways == nil && !slices.Equal(at.Gateways, []netip.Addr{netip.MustParseAddr("fe80::77")}) {
			t.Errorf("%s: gateways %v", step.name, at.Gateways)
		}
		dhcptest.SysctlIs(t, g, "eth1/accept_ra_defrtr", step.defrtr)
		if again := update(t, target, s); len(again.Mended) > 0 {
			t.Errorf("%s again: %q", step.name, again.Mended)
		}
	}
	detach(t, target, static)
}
