package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/option"
)

// A Family is an address family, by the version number of its protocol. The zero
// value stands for both.
type Family uint8

// The families that -a knows.
const (
	Inet  Family = 4 // IPv4: -a 4, -a inet
	Inet6 Family = 6 // IPv6: -a 6, -a inet6
)

// String returns "IPv4", "IPv6", or "any" for the zero value.
func (f Family) String() string {
	if f == 0 {
		return "any"
	}
	return fmt.Sprintf("IPv%d", uint8(f))
}

func familyOf(addr netip.Addr) Family {
	if addr.Is4() {
		return Inet
	}
	return Inet6
}

// sameFamily returns a test for addresses of addr's family.
func sameFamily(addr netip.Addr) func(netip.Addr) bool {
	return func(other netip.Addr) bool { return familyOf(other) == familyOf(addr) }
}

func (l *Line) family(text string) error {
	switch text {
	case "4", "inet":
		l.Family = Inet
	case "6", "inet6":
		l.Family = Inet6
	default:
		return fmt.Errorf("-a %q is no address family: write 4, 6, inet or inet6", text)
	}
	return nil
}

// noAddress is the word that attaches without an address; so does 0.0.0.0 with any
// prefix length.
const noAddress = "0/0"

func isNoAddress(word string) bool {
	prefix, err := parseMasked(word)
	return word == noAddress || err == nil && prefix.Addr() == netip.IPv4Unspecified()
}

// addresses reads the third word: 0/0, or addresses and the words of those that are
// not static, between commas. What follows the colon of a DHCP word, to the end, is
// its options.
func (p *parser) addresses(word string) {
	if isNoAddress(word) {
		return
	}
	for rest, more := word, true; more; {
		var piece string
		before := rest
		piece, rest, more = strings.Cut(rest, ",")
		client, _, options := strings.Cut(piece, ":")
		switch {
		case options && isDHCP(client):
			p.dhcp(client, before[len(client):])
			more = false
		case isDHCP(piece):
			p.dhcp(piece, "")
		case piece == slaac:
			p.slaac()
		case piece == "" && word != "":
			p.addf("the list %q has an empty place: leave out the extra comma", word)
		default:
			p.address(piece)
		}
	}
	slices.SortFunc(p.line.Gateways, netip.Addr.Compare)
	p.ownGateways()
	p.alone()
}

// address reads one address/prefix[@gateway].
func (p *parser) address(word string) {
	text, gateway, has := strings.Cut(word, "@")
	if isNoAddress(text) {
		p.addf("%q: 0/0 means no address and stands alone: leave it out, or the gateways and addresses beside it", word)
		return
	}
	if has && (isDHCP(text) || text == slaac) {
		p.addf("%q: %s brings its own gateway: leave out @%s", word, text, gateway)
		return
	}
	prefix, err := parsePrefix(text)
	p.add(err)
	if err == nil {
		p.addPrefix(prefix)
	}
	if has {
		p.gateway(gateway, prefix)
	}
}

func (p *parser) addPrefix(prefix netip.Prefix) {
	family := familyOf(prefix.Addr())
	switch {
	case p.line.Family != 0 && p.line.Family != family:
		p.addf("-a %d refuses the %s address %s: write -a %d, or leave out -a", p.line.Family, family, prefix, family)
	case slices.Contains(p.line.Addrs, prefix):
		p.addf("the address %s is given twice: keep one", prefix)
	}
	p.line.Addrs = append(p.line.Addrs, prefix)
}

// parsePrefix reads an address with its prefix length, and keeps its host bits.
func parsePrefix(word string) (netip.Prefix, error) {
	text, _, masked := strings.Cut(word, "/")
	addr, err := netip.ParseAddr(text)
	if meant := option.Nearest(strings.ToLower(word), append([]string{slaac}, dhcpWords...)); err != nil && meant != "" {
		return netip.Prefix{}, fmt.Errorf("%q is not an address: did you mean %s?", word, meant)
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address: write 10.0.0.2/24, fd00::2/64, 0/0 for none, dhcp, dhcp6 or slaac", word)
	}
	if err := usable(addr, "write the guest's own address, or 0/0 for none"); err != nil {
		return netip.Prefix{}, fmt.Errorf("the address %q %w", word, err)
	}
	if !masked {
		return netip.Prefix{}, netmaskError(addr)
	}
	prefix, err := parseMasked(word)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("the prefix length of %q is not a number from 0 to %d: did you mean %s?", word, addr.BitLen(), suggest(addr))
	}
	return prefix, nil
}

// parseMasked reads an address with its prefix length, or an IPv4 one with a netmask, as
// iproute2 does: 192.168.1.2/255.255.0.0.
func parseMasked(word string) (netip.Prefix, error) {
	text, mask, _ := strings.Cut(word, "/")
	addr, err := netip.ParseAddr(text)
	dotted, none := netip.ParseAddr(mask)
	if err != nil || none != nil || !addr.Is4() || !dotted.Is4() {
		return netip.ParsePrefix(word)
	}
	bits, size := net.IPMask(dotted.AsSlice()).Size()
	if size == 0 {
		return netip.Prefix{}, fmt.Errorf("%s is no netmask", mask)
	}
	return netip.PrefixFrom(addr, bits), nil
}

// netmaskError is worded as the classic tool's message, which scripts look for.
func netmaskError(addr netip.Addr) error {
	//lint:ignore ST1005 the classic wording
	//nolint:staticcheck // the classic wording, which scripts look for
	return fmt.Errorf("The IP address should include a netmask. Maybe you meant %s ?", suggest(addr))
}

// suggest gives addr the prefix length it most likely lacks.
func suggest(addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return netip.PrefixFrom(addr, 24)
	}
	return netip.PrefixFrom(addr, 64)
}

// usable refuses an address that no single host can bear, and says the mend.
func usable(addr netip.Addr, mend string) error {
	switch {
	case addr.Zone() != "":
		return fmt.Errorf("has a zone, which the interface already says: write it as %s", addr.WithZone(""))
	case addr.Is4In6():
		return fmt.Errorf("is IPv4 in IPv6 clothing: write it as %s", addr.Unmap())
	case addr.IsUnspecified():
		return fmt.Errorf("is the unspecified one: %s", mend)
	case addr.IsMulticast():
		return fmt.Errorf("is a multicast one: %s", mend)
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("is the limited broadcast: %s", mend)
	}
	return nil
}

// gateway reads the text after the @ of an address; of is that address, or the
// zero value where it could not be read.
func (p *parser) gateway(text string, of netip.Prefix) {
	addr, err := parseGateway(text)
	if err != nil {
		p.add(err)
		return
	}
	family := familyOf(addr)
	switch {
	case of.IsValid() && familyOf(of.Addr()) != family:
		p.addf("the gateway %s is %s and its address %s is not: give a gateway of the same family", addr, family, of)
	case slices.ContainsFunc(p.line.Gateways, sameFamily(addr)):
		p.addf("the gateway %s is given twice for %s: keep one default gateway a family", addr, family)
	default:
		p.line.Gateways = append(p.line.Gateways, addr)
	}
}

func parseGateway(text string) (netip.Addr, error) {
	if strings.Contains(text, "@") {
		return netip.Addr{}, fmt.Errorf("the gateway is given twice in %q: keep one after the @", "@"+text)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the gateway %q is not an address: write it without a prefix length, as in 10.0.0.2/24@10.0.0.1, or leave out the @", text)
	}
	if err := usable(addr, "write the router's own address, or leave out the @"); err != nil {
		return netip.Addr{}, fmt.Errorf("the gateway %q %w", text, err)
	}
	return addr, nil
}

// ownGateways refuses a gateway that is one of the guest's own addresses.
func (p *parser) ownGateways() {
	for _, gateway := range p.line.Gateways {
		if slices.ContainsFunc(p.line.Addrs, func(a netip.Prefix) bool { return a.Addr() == gateway }) {
			p.addf("the gateway %s is the guest's own address: write the router's", gateway)
		}
	}
}

// addressWord says the addresses, each gateway after the first of its family, and
// who gives others.
func (l Line) addressWord() string {
	if len(l.Addrs) == 0 && l.DHCP == "" && !l.SLAAC {
		return noAddress
	}
	unsaid := slices.Clone(l.Gateways)
	pieces := make([]string, len(l.Addrs))
	for i, prefix := range l.Addrs {
		pieces[i] = prefix.String()
		if g := slices.IndexFunc(unsaid, sameFamily(prefix.Addr())); g >= 0 {
			pieces[i] += "@" + unsaid[g].String()
			unsaid = slices.Delete(unsaid, g, g+1)
		}
	}
	if l.SLAAC {
		pieces = append(pieces, slaac)
	}
	if l.DHCP != "" {
		pieces = append(pieces, l.DHCP) // last: its options end with the word
	}
	return strings.Join(pieces, ",")
}
