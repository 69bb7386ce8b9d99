package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// A Lease is what a server granted. It is plain data with JSON tags: written to
// a file and read back it can be renewed, taken up again, or released by another
// process.
type Lease struct {
	// Addr is the address with the subnet's prefix length. Of DHCPv6 it is the first
	// of Addrs, with 128 bits: what else is on the link, routers advertise.
	Addr netip.Prefix `json:"address"`
	// Addrs are the addresses of a DHCPv6 lease; of DHCPv4 it is empty.
	Addrs []Leased `json:"addresses,omitempty"`
	// Server is the server's identifier (option 54), of DHCPv6 the address that it,
	// or a relay, answered from.
	Server netip.Addr `json:"server"`
	// ServerID is the DUID of a DHCPv6 server.
	ServerID []byte `json:"server_id,omitempty"`
	// ServerMAC is where the server's answer came from; nil when that is not
	// known. A server on the link is sent frames there, for which the kernel needs
	// no neighbour entry; any other is reached as the kernel's routes say.
	ServerMAC net.HardwareAddr `json:"-"`
	// Routers are the default gateways, the preferred one first (option 3). They
	// are empty when classless routes came (RFC 3442): those hold the default.
	Routers []netip.Addr `json:"routers,omitempty"`
	// Routes are the classless static routes (option 121, or 249), or without any the
	// static routes of option 33.
	Routes []Route `json:"routes,omitempty"`
	// DNS are the name servers (option 6, of DHCPv6 23), Domain the domain (15), Search the
	// domains to search (119, RFC 3397; of DHCPv6 24).
	DNS    []netip.Addr `json:"dns,omitempty"`
	Domain string       `json:"domain,omitempty"`
	Search []string     `json:"search,omitempty"`
	// MTU in bytes (option 26), at least 576; 0 when the server named none.
	MTU int `json:"mtu,omitempty"`
	// NTP are the time servers (option 42, of DHCPv6 31 and 56).
	NTP []netip.Addr `json:"ntp,omitempty"`
	// Options are those that Config.Parameters asked for, as they came.
	Options map[uint8][]byte `json:"options,omitempty"`
	// ClientID is what the lease was got with; of DHCPv6 it is the client's DUID, to
	// which IAID belongs.
	ClientID []byte `json:"client_id,omitempty"`
	IAID     uint32 `json:"iaid,omitempty"`
	// Renew (T1), Rebind (T2) and Expires count from when the request was sent
	// (RFC 2131 section 4.4.5). All are zero for a lease without end. A DHCPv6 lease
	// expires with the last of its addresses. They are in order, and Renew is no
	// sooner than a second and a sixtieth of the lease, or a minute, whatever the
	// server said; a lease of one second ends before that.
	Renew   time.Time `json:"renew,omitzero"`
	Rebind  time.Time `json:"rebind,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// A Route is a static route (RFC 3442, RFC 2132 section 5.8).
type Route struct {
	Dst netip.Prefix `json:"destination"`
	// Via is the router; unspecified (0.0.0.0) for a destination on the link.
	Via netip.Addr `json:"via"`
}

// Gateway is the lease's default gateway: the default route among the classless
// routes, or else the first router. It is invalid when there is none.
func (l *Lease) Gateway() netip.Addr {
	for _, r := range l.Routes {
		if r.Dst.Bits() == 0 && !r.Via.IsUnspecified() {
			return r.Via
		}
	}
	if len(l.Routers) > 0 {
		return l.Routers[0]
	}
	return netip.Addr{}
}

// Remaining is how long the lease is still good at now; a lease without end is
// negative.
func (l *Lease) Remaining(now time.Time) time.Duration {
	if l.Expires.IsZero() {
		return -1
	}
	return max(0, l.Expires.Sub(now))
}

// sameSettings says whether an interface need not be changed from l to o, but
// for its lifetime.
func (l *Lease) sameSettings(o *Lease) bool {
	return l.Addr == o.Addr && slices.EqualFunc(l.Addrs, o.Addrs, sameAddr) && l.MTU == o.MTU && l.Domain == o.Domain && l.Server == o.Server &&
		slices.Equal(l.Routers, o.Routers) && slices.Equal(l.Routes, o.Routes) && slices.Equal(l.DNS, o.DNS) && slices.Equal(l.Search, o.Search) && slices.Equal(l.NTP, o.NTP)
}
