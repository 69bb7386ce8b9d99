//go:build linux

package pipework_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// TestExchangedLease has another server by the time of the next call, whose lease brings other
// routes, or none: then the guest has those of the new lease alone, and what others made.
func TestExchangedLease(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	const (
		here     = "--dhcp-range=10.77.0.50,10.77.0.55,255.255.255.0,120"
		there    = "--dhcp-range=10.77.0.60,10.77.0.65,255.255.255.0,120"
		first    = "--dhcp-option=121,0.0.0.0/0,10.77.0.1,10.200.0.0/16,10.77.0.254,10.98.0.1/32,0.0.0.0,10.202.0.0/16,10.98.0.1,10.203.0.0/16,10.77.0.254"
		gateway  = "--dhcp-option=3,10.77.0.1"
		noRouter = "--dhcp-option=3"
	)
	for name, row := range map[string]struct{ old, new []string }{
		"other routes":        {[]string{here, first}, []string{there, "--dhcp-option=121,0.0.0.0/0,10.77.0.9,10.201.0.0/16,10.77.0.254,10.203.0.0/16,10.77.0.253"}},
		"the same address":    {[]string{here, first}, []string{here, "--dhcp-option=121,0.0.0.0/0,10.77.0.9,10.201.0.0/16,10.77.0.254"}},
		"only a gateway":      {[]string{here, first}, []string{there, gateway}},
		"no routes":           {[]string{here, first}, []string{there, noRouter}},
		"no routes, the same": {[]string{here, first}, []string{here, noRouter}},
		"option 33":           {[]string{here, gateway, "--dhcp-option=33,10.200.5.5,10.77.0.254"}, []string{there, gateway, "--dhcp-option=33,10.201.5.5,10.77.0.254"}},
		"option 249":          {[]string{here, noRouter, "--dhcp-option=249,10.200.0.0/16,10.77.0.254"}, []string{there, gateway}},
	} {
		for how, call := range map[string]func(context.Context, pipework.Target, pipework.Spec) (*pipework.Attachment, error){
			"attach": pipework.Attach, "update": pipework.Update,
		} {
			for _, flushed := range []bool{false, true} {
				what := name + ", " + how + map[bool]string{true: ", without its address"}[flushed]
				t.Run(what, func(t *testing.T) {
					dhcptest.Network(t)
					target, g := nstest.Guest(t)
					nstest.Uplink(t, g)
					s := dhcpSpec()
					server := dhcptest.Dnsmasq(t, row.new...)
					attach(t, target, s)
					want := leasedRoutes(t, g)
					detach(t, target, s)
					server.Stop()

					server = dhcptest.Dnsmasq(t, row.old...)
					attach(t, target, s)
					server.Stop()
					dhcptest.Dnsmasq(t, row.new...)
					if flushed {
						ip(t, g, "ip", "addr", "flush", "dev", "eth1")
					}
					const own = "10.210.0.0/16 dev eth1 proto dhcp scope link metric 1024" // of the guest's network manager
					ip(t, g, append([]string{"ip", "route", "add"}, strings.Fields(own)...)...)
					at, err := call(t.Context(), target, s)
					if err != nil {
						t.Fatal(err)
					}
					got := leasedRoutes(t, g)
					if i := slices.Index(got, own); i < 0 {
						t.Errorf("what the guest made is gone: %q", got)
					} else {
						got = slices.Delete(got, i, i+1)
					}
					if !slices.Equal(got, want) {
						t.Errorf("the lease %v has the routes\n%s\nand not\n%s", at.Lease, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
					ip(t, g, append([]string{"ip", "route", "del"}, strings.Fields(own)...)...)
					detach(t, target, s)
				})
			}
		}
	}
}

// leasedRoutes are the guest's IPv4 routes in its main table.
func leasedRoutes(t *testing.T, g *ns.Guest) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(ip(t, g, "ip", "-4", "route", "show")) {
		list = append(list, strings.TrimSpace(line))
	}
	slices.Sort(list)
	return list
}
