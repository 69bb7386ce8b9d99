//go:build linux

package dhcp

import (
	"testing"

	"github.com/go-pipework/pipework/internal/dhcptest"
)

// BenchmarkAcquire6 solicits and requests an address from dnsmasq, and with rapid
// commit, beside DHCPv4 with the same server. No address is put on an interface: the
// second that duplicate address detection takes is not in the figures.
func BenchmarkAcquire6(b *testing.B) {
	dhcptest.Need(b, "dnsmasq")
	dhcptest.Network(b)
	dhcptest.Dnsmasq(b, dhcptest.Range6...)
	c, _ := guest6(b)
	acquire(b, c, nil)
	for name, f := range map[string]func(*Client){
		"solicit": func(*Client) {}, "rapid commit": func(c *Client) { c.RapidCommit = true }, "IPv4": func(c *Client) { c.Family = IPv4 },
	} {
		b.Run(name, func(b *testing.B) {
			asks := *c
			f(&asks)
			b.ReportAllocs()
			for b.Loop() {
				acquire(b, &asks, nil)
			}
		})
	}
}
