// Package hostaddr says which addresses an interface cannot work with.
package hostaddr

import (
	"fmt"
	"net/netip"
)

// never are the IPv4 addresses that no interface on a network has.
var never = []struct {
	block netip.Prefix
	why   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "0.0.0.0/8 means this network (RFC 1122)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "127.0.0.0/8 is the loopback's (RFC 1122)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "240.0.0.0/4 is reserved (RFC 1112)"},
}

// Alone says why no interface on a network can have the address; nil: one can.
func Alone(a netip.Addr) error {
	if a.IsUnspecified() || a.IsMulticast() || a == netip.IPv6Loopback() {
		return fmt.Errorf("%s is no address of an interface", a)
	}
	for _, n := range never {
		if n.block.Contains(a) {
			return fmt.Errorf("%s is no address of an interface: %s", a, n.why)
		}
	}
	return nil
}

// In says why no interface can have the address in its subnet; nil: one can. Of two
// addresses, or one, each is a host's (RFC 3021, RFC 6164).
func In(p netip.Prefix) error {
	a := p.Addr()
	if err := Alone(a); err != nil {
		return err
	}
	switch left := a.BitLen() - p.Bits(); {
	case p.Bits() == 0:
		return fmt.Errorf("address %s has the prefix length 0, by which every address would be on the link: write that of the subnet, such as %d", p, usual(a))
	case left < 2:
	case p.Masked().Addr() == a && a.Is4():
		return fmt.Errorf("address %s is the subnet's own: write one of a host, such as %s", p, netip.PrefixFrom(a.Next(), p.Bits()))
	case p.Masked().Addr() == a:
		return fmt.Errorf("address %s is that of all routers of the subnet (RFC 4291, 2.6.1): write one of a host, such as %s", p, netip.PrefixFrom(a.Next(), p.Bits()))
	case a.Is4() && !p.Contains(a.Next()):
		return fmt.Errorf("address %s is the subnet's broadcast address: write one of a host, such as %s", p, netip.PrefixFrom(a.Prev(), p.Bits()))
	}
	return nil
}

// usual is the prefix length that a subnet of the address most likely has.
func usual(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}
