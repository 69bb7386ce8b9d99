package dhcp

import (
	"fmt"
	"strconv"
	"hash/fnv"
	"net"
	"net/netip"
)

// A Family is the version of IP, and with it of DHCP.
type Family string

// The families.
const (
	IPv4 Family = ""     // DHCPv4, RFC 2131
	IPv6 Family = "ipv6" // DHCPv6, RFC 8415
	Both Family = "both" // a lease of each
)

// String is "IPv4", "IPv6" or "IPv4 and IPv6".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	case Both:
		return "IPv4 and IPv6"
	}
	return strconv.Quote(string(f))
}

// Wants says whether f asks for a lease of the family one, which is IPv4 or IPv6.
func (f Family) Wants(one Family) bool { return f == one || f == Both }

// validFamily says what is wrong with what belongs to one family.
func (c *Config) validFamily() error {
	a := c.Requested
	possible := hostAddr(a) && c.Family.Wants(IPv4) || hostAddr6(a) && c.Family.Wants(IPv6)
	switch {
	case c.Family != IPv4 && c.Family != IPv6 && c.Family != Both:
		return fmt.Errorf("dhcp: %q is no family: %q (IPv4), %q or %q", string(c.Family), string(IPv4), string(IPv6), string(Both))
	case a.IsValid() && !possible:
		return fmt.Errorf("dhcp: %s is no %s address of an interface", a, map[Family]string{IPv4: "IPv4", IPv6: "IPv6", Both: "IPv4 or IPv6"}[c.Family])
	case c.DUID != nil && (len(c.DUID) < 3 || len(c.DUID) > 130):
		return fmt.Errorf("dhcp: a DUID of %d bytes: it takes 3 to 130 (RFC 8415, 11.1)", len(c.DUID))
	}
	return nil
}

// DUID is what identifies a client with this Ethernet address to DHCPv6 servers
// where Config.DUID does not: a DUID-LL (RFC 8415 section 11.4).
func DUID(mac net.HardwareAddr) []byte {
	return append([]byte{0, 3, 0, 1}, mac...)
}

// IAID is the number of an interface where Config.IAID is 0: the 32-bit FNV-1a of
// its name. It does not come from the MAC, so that it stays the same where the
// caller's DUID does.
func IAID(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return h.Sum32()
}

func (c *Client) duid() []byte {
	if c.DUID != nil {
		return c.DUID
	}
	return DUID(c.MAC)
}

func (c *Client) iaid() uint32 {
	if c.IAID != 0 {
		return c.IAID
	}
	return IAID(c.Name)
}

// hostAddr6 says whether a can be an interface's IPv6 address, beyond the link.
func hostAddr6(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && a.Zone() == ""
}
