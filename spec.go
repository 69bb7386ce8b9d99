package pipework

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/hostaddr"
	"github.com/go-pipework/pipework/link"
)

// normal fills the defaults in.
func (s Spec) normal() Spec {
	if s.Name == "" {
		s.Name = DefaultName
	}
	s.Link = link.ByValue(s.Link)
	return s
}

// asks says whether the Spec wants a lease of the family f.
func (s Spec) asks(f dhcp.Family) bool { return s.DHCP != nil && s.DHCP.Family.Wants(f) }

// advertised says whether the Spec needs what routers advertise.
func (s Spec) advertised() bool { return s.SLAAC || s.asks(dhcp.IPv6) }

// hasIPv6 says whether the interface is to have IPv6 addresses.
func (s Spec) hasIPv6() bool {
	return s.advertised() || slices.ContainsFunc(s.Addrs, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// Validate says everything that is wrong with the Spec by itself, at once, in an error that
// satisfies fs.ErrInvalid. [Attach] does so before it touches anything.
func (s Spec) Validate() error { return s.normal().validate() }

func (s Spec) validate() error {
	var wrong []error
	if s.Link == nil {
		wrong = append(wrong, errors.New("no link: say what to plug into, such as link.Bridge{Name: \"br1\"}"))
	}
	wrong = append(wrong, s.validLink(), link.ValidName(s.Name), validMAC(s.MAC), validMAC(s.DefaultMAC), s.validMTU())
	for i, p := range s.Addrs {
		wrong = append(wrong, validAddr(p))
		if slices.Contains(s.Addrs[:i], p) {
			wrong = append(wrong, fmt.Errorf("address %s is given twice", p))
		}
	}
	for i, g := range s.Gateways {
		wrong = append(wrong, s.validGateway(g, s.Gateways[:i]))
	}
	if s.DHCP != nil {
		wrong = append(wrong, s.DHCP.Validate())
	}
	wrong = append(wrong, s.validPolicy())
	if err := errs.Join(wrong...); err != nil {
		return errs.New(fs.ErrInvalid, "%w", err)
	}
	return nil
}

// validLink asks the backend what it thinks of its settings, and of the MAC.
func (s Spec) validLink() error {
	var wrong []error
	if v, ok := s.Link.(link.Validator); ok {
		wrong = append(wrong, v.Validate())
	}
	if f, ok := s.Link.(link.FixedMAC); ok && s.MAC != nil && f.FixedMAC() != "" {
		wrong = append(wrong, fmt.Errorf("MAC %s: %s", s.MAC, f.FixedMAC()))
	}
	return errs.Join(append(wrong, s.validPin())...)
}

// maxPinned is how many addresses the kernel's filter has room for.
const maxPinned = 128

// validPin says why what leaves the guest cannot be looked at.
func (s Spec) validPin() error {
	if !s.Pin || s.Link == nil {
		return nil
	}
	p, can := s.Link.(link.Pinner)
	if !can {
		return fmt.Errorf("pin: %s has no end on the host, where what leaves the guest could be looked at: plug it into a Linux bridge, or use a veth pair", s.Link)
	}
	if _, err := p.PinnedTags(); err != nil {
		return fmt.Errorf("pin: %s: %w: plug it into a Linux bridge, or use a veth pair", s.Link, err)
	}
	if len(s.Addrs) > maxPinned {
		return fmt.Errorf("pin: %d addresses are more than %d", len(s.Addrs), maxPinned)
	}
	return nil
}

func validMAC(mac net.HardwareAddr) error {
	switch {
	case len(mac) == 0:
		return nil
	case len(mac) != 6:
		return fmt.Errorf("MAC %s has %d bytes: Ethernet needs 6", mac, len(mac))
	case mac[0]&1 != 0:
		return fmt.Errorf("MAC %s is a multicast address: its first byte must be even, such as 02", mac)
	case slices.Max(mac) == 0:
		return errors.New("MAC 00:00:00:00:00:00 is no address")
	}
	return nil
}

// The kernel's bounds: ETH_MIN_MTU, IPV6_MIN_MTU, and 16 bits.
func (s Spec) validMTU() error {
	switch {
	case s.MTU == 0:
		return nil
	case s.MTU < 68 || s.MTU > 65535:
		return fmt.Errorf("MTU %d is out of range: 68 to 65535 bytes", s.MTU)
	case s.MTU < 1280 && s.hasIPv6():
		return fmt.Errorf("MTU %d is too small for IPv6, which needs 1280 bytes", s.MTU)
	}
	return nil
}

func validAddr(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !p.IsValid():
		return errors.New("an address is not valid: it needs an address and a prefix length, such as 10.0.0.2/24")
	case a.Is4In6():
		return fmt.Errorf("address %s is IPv4 written as IPv6: write %s", p, a.Unmap())
	}
	return hostaddr.In(p)
}

// reachable says why no other host on the link can have the gateway's address. An IPv6
// router answers to that of all routers, too.
func (s Spec) reachable(g netip.Addr) error {
	wrong := hostaddr.Alone(g)
	for _, p := range s.Addrs {
		switch {
		case p.Addr() == g:
			return fmt.Errorf("gateway %s is the interface's own address", g)
		case wrong == nil && g.Is4() && p.Bits() > 0 && p.Contains(g):
			wrong = hostaddr.In(netip.PrefixFrom(g, p.Bits()))
		}
	}
	if wrong != nil {
		return fmt.Errorf("gateway %s: %w", g, wrong)
	}
	return nil
}

func (s Spec) validGateway(g netip.Addr, before []netip.Addr) error {
	if !g.IsValid() || g.IsUnspecified() || g.IsMulticast() || g.Is4In6() || g.Zone() != "" {
		return fmt.Errorf("%s is no address of a gateway", g)
	}
	family := "IPv6"
	if g.Is4() {
		family = "IPv4"
	}
	for _, b := range before {
		if b.Is4() == g.Is4() {
			return fmt.Errorf("gateways %s and %s: only one default route of each family", b, g)
		}
	}
	if err := s.reachable(g); err != nil {
		return err
	}
	dynamic := s.asks(dhcp.IPv4) && g.Is4() || s.advertised() && g.Is6()
	if !dynamic && !slices.ContainsFunc(s.Addrs, func(p netip.Prefix) bool { return p.Addr().Is4() == g.Is4() }) {
		return fmt.Errorf("gateway %s needs an %s address on the interface", g, family)
	}
	return nil
}
