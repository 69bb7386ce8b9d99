package config

import (
	"net/netip"
	"slices"
	"strings"
)

// slaac is the word that waits for the addresses that a router advertises.
const slaac = "slaac"

// dhcpWords are the client of pipework, for each family, and the classic ones,
// which are programs.
var dhcpWords = []string{"dhcp", "dhcp6", "udhcpc", "udhcpc-f", "dhclient", "dhclient-f", "dhcpcd"}

// isDHCP reports whether word, without its options, names a DHCP client.
func isDHCP(word string) bool { return slices.Contains(dhcpWords, word) }

// dhcp takes a DHCP word, and its options with the colon before them. dhcp and
// dhcp6 go together, in either order.
func (p *parser) dhcp(client, options string) {
	before := p.line.DHCP
	switch {
	case before == "":
	case before == client:
		p.addf("%s is given twice: keep one", client)
		return
	case !strings.HasPrefix(before, "dhcp") || !strings.HasPrefix(client, "dhcp") || strings.Contains(before, ",") || client == "dhcpcd" || before == "dhcpcd":
		p.addf("%s beside %s: only dhcp and dhcp6 go together", client, before)
		return
	default:
		before += ","
	}
	switch {
	case client == "dhcp6" && p.line.Family == Inet:
		p.addf("-a 4 refuses dhcp6: write dhcp, or leave out -a")
	case before != "" && p.line.Family == Inet6:
		p.addf("-a 6 refuses dhcp beside dhcp6: write dhcp6 alone, or leave out -a")
	case !printable(options):
		p.addf("the DHCP word %q %s", client+options, unprintable)
	}
	p.line.DHCP = before + client + options
}

// alone refuses a program beside IPv4 addresses, which it would take away.
func (p *parser) alone() {
	client, _, _ := strings.Cut(p.line.DHCP, ":")
	own := strings.HasPrefix(client, "dhcp") && client != "dhcpcd"
	i := slices.IndexFunc(p.line.Addrs, func(a netip.Prefix) bool { return a.Addr().Is4() })
	if client != "" && !own && i >= 0 {
		p.addf("%s takes other IPv4 addresses away: write dhcp, or leave %s out", client, p.line.Addrs[i])
	}
}

func (p *parser) slaac() {
	switch {
	case p.line.SLAAC:
		p.addf("%s is given twice: keep one", slaac)
	case p.line.Family == Inet:
		p.addf("-a 4 refuses %s, which is IPv6: leave one of them out", slaac)
	}
	p.line.SLAAC = true
}
