package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// An identity is who asks a DHCPv6 server, and for which interface.
type identity6 struct {
	duid []byte
	iaid uint32
}

// identity6 is the client's; a lease from an earlier life has its own.
func (c *Client) identity6(last *Lease) identity6 {
	id := identity6{c.duid(), c.iaid()}
	if last != nil && last.ClientID != nil {
		id.duid = last.ClientID
	}
	if last != nil && last.IAID != 0 {
		id.iaid = last.IAID
	}
	return id
}

// message6 makes a message of this type (RFC 8415 section 16) for these addresses,
// to one server, where server is not nil.
func (c *Client) message6(kind dhcpv6.MessageType, id identity6, server []byte, addrs []netip.Addr) (*dhcpv6.Message, error) {
	m, err := dhcpv6.NewMessage()
	if err != nil {
		return nil, err
	}
	m.MessageType = kind
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: id.duid})
	if server != nil {
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: server})
	}
	ia := &dhcpv6.OptIANA{}
	binary.BigEndian.PutUint32(ia.IaId[:], id.iaid)
	for _, a := range addrs {
		ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()})
	}
	m.AddOption(ia)
	m.AddOption(dhcpv6.OptElapsedTime(0))
	if kind == dhcpv6.MessageTypeRelease || kind == dhcpv6.MessageTypeDecline {
		return m, nil
	}
	m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList,
		dhcpv6.OptionSNTPServerList, dhcpv6.OptionNTPServer, dhcpv6.OptionSolMaxRT))
	if c.Hostname != "" {
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionFQDN, OptionData: fqdn(c.Hostname)})
	}
	if kind == dhcpv6.MessageTypeSolicit && c.RapidCommit {
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
	}
	return m, nil
}

// fqdn is the option's content (RFC 4704 section 4): the server is asked to update
// the name's AAAA record. A name of one label is no whole one, and is not ended.
func fqdn(name string) []byte {
	b := []byte{1}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	if strings.Contains(name, ".") {
		b = append(b, 0)
	}
	return b
}

// maxElapsed is the most that the elapsed time option holds (RFC 8415 section 21.9).
const maxElapsed = 0xffff * 10 * time.Millisecond

// elapsed is m's bytes after it has been sent for so long.
func elapsed(m *dhcpv6.Message, d time.Duration) []byte {
	m.UpdateOption(dhcpv6.OptElapsedTime(min(d, maxElapsed)))
	return m.ToBytes()
}

// servers6 is where all servers and relays on the link listen (RFC 8415 section 7).
var servers6 = netip.AddrPortFrom(netip.MustParseAddr("ff02::1:2"), 547)

const clientPort6 = 546

func addrs6(list []Leased) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		addrs = append(addrs, a.Addr)
	}
	return addrs
}

func fromIP(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}
