package dhcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

const (
	// minMTU is what every IPv4 host must be able to receive (RFC 791). A smaller
	// one is an attack or a mistake; below 1280 there is no IPv6 anyway.
	minMTU = 576
	// maxList bounds the addresses, routes and domains that are taken from one
	// option: RFC 3396 lets them be as long as the message.
	maxList = 64
)

// parse makes a Lease of an offer or acknowledgement of a request that was sent
// at the time sent. What makes the whole message unbelievable is an error; a
// single option that is malformed is left out.
func parse(m *dhcpv4.DHCPv4, asked []uint8, sent time.Time) (*Lease, error) {
	addr, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
	prefix, err := subnet(addr, m.GetOneOption(dhcpv4.OptionSubnetMask))
	if err != nil {
		return nil, err
	}
	server, ok := netip.AddrFromSlice(m.GetOneOption(dhcpv4.OptionServerIdentifier))
	if !ok || !hostAddr(server) || server == addr {
		return nil, fmt.Errorf("server identifier %v is none", server)
	}
	l := &Lease{Addr: prefix, Server: server}
	if err := l.parseTimes(m, sent); err != nil {
		return nil, err
	}
	l.parseRoutes(m)
	l.DNS = hosts(m.GetOneOption(dhcpv4.OptionDomainNameServer), addr)
	l.NTP = hosts(m.GetOneOption(dhcpv4.OptionNTPServers), addr)
	l.parseNames(m)
	if b := m.GetOneOption(dhcpv4.OptionInterfaceMTU); len(b) == 2 && binary.BigEndian.Uint16(b) >= minMTU {
		l.MTU = int(binary.BigEndian.Uint16(b))
	}
	for _, code := range asked {
		if b := m.Options.Get(dhcpv4.GenericOptionCode(code)); b != nil {
			if l.Options == nil {
				l.Options = map[uint8][]byte{}
			}
			l.Options[code] = bytes.Clone(b)
		}
	}
	return l, nil
}

// subnet joins address and mask (option 1); without one the mask is that of the
// address's class (RFC 950).
func subnet(a netip.Addr, mask []byte) (netip.Prefix, error) {
	if !hostAddr(a) {
		return netip.Prefix{}, fmt.Errorf("%v is no address of an interface", a)
	}
	if mask == nil {
		mask = net.IP(a.AsSlice()).DefaultMask()
	}
	if len(mask) != 4 {
		return netip.Prefix{}, fmt.Errorf("a subnet mask of %d bytes", len(mask))
	}
	inverse := ^binary.BigEndian.Uint32(mask)
	if inverse&(inverse+1) != 0 || inverse == math.MaxUint32 {
		return netip.Prefix{}, fmt.Errorf("subnet mask %x is none", mask)
	}
	p := netip.PrefixFrom(a, bits.LeadingZeros32(inverse))
	host := binary.BigEndian.Uint32(a.AsSlice()) & inverse
	if p.Bits() < 31 && (host == 0 || host == inverse) {
		return netip.Prefix{}, fmt.Errorf("%s is the address of its subnet itself", p)
	}
	return p, nil
}

// parseTimes reads lease time, T1 and T2 (options 51, 58, 59).
func (l *Lease) parseTimes(m *dhcpv4.DHCPv4, sent time.Time) error {
	lease, ok := seconds(m.GetOneOption(dhcpv4.OptionIPAddressLeaseTime))
	if !ok || lease == 0 {
		return fmt.Errorf("no lease time")
	}
	if lease == forever {
		return nil
	}
	t1, _ := seconds(m.GetOneOption(dhcpv4.OptionRenewTimeValue))
	t2, _ := seconds(m.GetOneOption(dhcpv4.OptionRebindingTimeValue))
	t1, t2 = times4(lease, t1, t2)
	l.Renew, l.Rebind, l.Expires = sent.Add(t1), sent.Add(t2), sent.Add(lease)
	return nil
}

// forever is the lease time that means no end (RFC 2131 section 3.3).
const forever = math.MaxUint32 * time.Second

// seconds reads a time; false, and 0, where there is none.
func seconds(b []byte) (time.Duration, bool) {
	if len(b) != 4 {
		return 0, false
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second, true
}

// microsoftRoutes is option 249, option 121 before it had a number ([MS-DHCPE] 2.2.8).
const microsoftRoutes = dhcpv4.GenericOptionCode(249)

// parseRoutes reads options 121, or 249, or else 33 and 3: classless routes come before
// all others (RFC 3442).
func (l *Lease) parseRoutes(m *dhcpv4.DHCPv4) {
	own := l.Addr.Addr()
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionClasslessStaticRoute, microsoftRoutes} {
		if l.Routes = routes(m.GetOneOption(code), own); l.Routes != nil {
			return
		}
	}
	l.Routes = classfulRoutes(m.GetOneOption(dhcpv4.OptionStaticRoutingTable), own)
	l.Routers = hosts(m.GetOneOption(dhcpv4.OptionRouter), own)
}

// classfulRoutes reads option 33 (RFC 2132 section 5.8): pairs of a destination, which has
// the mask of its class, and a router. There is none to 0.0.0.0. A destination with more
// bits than its class's mask is a host.
func classfulRoutes(b []byte, own netip.Addr) (list []Route) {
	if len(b)%8 != 0 {
		return nil
	}
	for ; len(b) > 0 && len(list) < maxList; b = b[8:] {
		dst, via := netip.AddrFrom4([4]byte(b)), netip.AddrFrom4([4]byte(b[4:]))
		size, _ := net.IP(b[:4]).DefaultMask().Size()
		if netip.PrefixFrom(dst, size).Masked().Addr() != dst {
			size = 32
		}
		r := Route{Dst: netip.PrefixFrom(dst, size), Via: via}
		if hostAddr(dst) && r.leads(own, list) {
			list = append(list, r)
		}
	}
	return list
}

// leads says whether the route, which comes after others, is one: through another host,
// and not to loopback or multicast.
func (r Route) leads(own netip.Addr, others []Route) bool {
	to := r.Dst.Addr()
	return (hostAddr(r.Via) || r.Via.IsUnspecified() && r.Dst.Bits() > 0) && r.Via != own && !to.IsLoopback() && !to.IsMulticast() &&
		!slices.ContainsFunc(others, func(o Route) bool { return o.Dst == r.Dst })
}

// routes reads option 121 up to where it is malformed.
func routes(b []byte, own netip.Addr) (list []Route) {
	for len(b) > 0 && len(list) < maxList {
		size := int(b[0])
		n := (size + 7) / 8
		if size > 32 || len(b) < 1+n+4 {
			return list
		}
		var dst [4]byte
		copy(dst[:], b[1:1+n])
		via, _ := netip.AddrFromSlice(b[1+n : 5+n])
		r := Route{Dst: netip.PrefixFrom(netip.AddrFrom4(dst), size).Masked(), Via: via}
		b = b[5+n:]
		if r.leads(own, list) {
			list = append(list, r)
		}
	}
	return list
}

// hosts reads a list of addresses, and leaves out what cannot be one of a host
// other than the client.
func hosts(b []byte, own netip.Addr) (list []netip.Addr) {
	if len(b)%4 != 0 {
		return nil
	}
	for ; len(b) > 0 && len(list) < maxList; b = b[4:] {
		a := netip.AddrFrom4([4]byte(b))
		if hostAddr(a) && a != own && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// hostAddr says whether a can be an interface's IPv4 address.
func hostAddr(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.As4()[0] != 0 && a.As4()[0] < 240
}

// parseNames reads the domain and the search list. Names end up in files that
// resolvers read line by line: only what is a domain name passes.
func (l *Lease) parseNames(m *dhcpv4.DHCPv4) {
	domain := strings.TrimRight(string(m.GetOneOption(dhcpv4.OptionDomainName)), "\x00.")
	if validDomain(domain) {
		l.Domain = domain
	}
	labels, err := rfc1035label.FromBytes(m.GetOneOption(dhcpv4.OptionDNSDomainSearchList))
	if err != nil {
		return
	}
	for _, name := range labels.Labels {
		if validDomain(name) && len(l.Search) < maxList {
			l.Search = append(l.Search, name)
		}
	}
}

// validDomain says whether s is a domain name of letters, digits, hyphens and
// underscores (RFC 1123 section 2.1).
func validDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || strings.ContainsFunc(label, notInDomain) {
			return false
		}
	}
	return true
}

func notInDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// printable is a server's own words, made safe to show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}
