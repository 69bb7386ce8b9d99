package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// An Addr is one address of a link.
type Addr struct {
	Index  int
	Prefix netip.Prefix // host bits kept
	Flags  uint32       // IFA_F_*
	Scope  uint8        // RT_SCOPE_*
	Proto  uint8        // IFAPROT_*; 0 before Linux 5.18
	Valid  uint32       // seconds until the kernel takes it away; Forever: never
	// Preferred is in seconds too: how long new connections use the address.
	Preferred uint32
}

// Forever is a lifetime without end (INFINITY_LIFE_TIME).
const Forever = 1<<32 - 1

// Usable says whether duplicate address detection (RFC 4862) is over and found
// the address unused.
func (a Addr) Usable() bool {
	return a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0
}

// Duplicate says whether another node on the link has the address already.
func (a Addr) Duplicate() bool { return a.Flags&unix.IFA_F_DADFAILED != 0 }

// Advertised says whether the kernel made the address from a router advertisement
// (SLAAC, RFC 4862) and may use it for new connections. Such an address has 64 bits
// and is never permanent, whatever its lifetime; DHCPv6 leases have 128.
func (a Addr) Advertised() bool {
	const not = unix.IFA_F_PERMANENT | unix.IFA_F_DEPRECATED
	ip := a.Prefix.Addr()
	return ip.Is6() && !ip.IsLinkLocalUnicast() && a.Prefix.Bits() == 64 && a.Flags&not == 0 && a.Usable()
}

// AddAddr gives the link an address, with the subnet's broadcast address where
// IPv4 has one (prefixes up to /30), as `ip addr add … brd +` does. An address
// that is there already is left as it is.
func AddAddr(ctx context.Context, c *ns.Conn, index int, p netip.Prefix) error {
	return addAddr(ctx, c, addrMessage(index, p), p)
}

// AddSureAddr is AddAddr for an address that nobody else on the link has: an IPv6 one
// can be used at once, without duplicate address detection (RFC 4862).
func AddSureAddr(ctx context.Context, c *ns.Conn, index int, p netip.Prefix) error {
	m := addrMessage(index, p)
	m[2] = unix.IFA_F_NODAD
	return addAddr(ctx, c, m, p)
}

func addAddr(ctx context.Context, c *ns.Conn, m message, p netip.Prefix) error {
	if brd, ok := Broadcast(p); ok {
		m.attr(unix.IFA_BROADCAST, brd.AsSlice()...)
	}
	req := m.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	if _, err := c.Do(ctx, req, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %s: %w", p, err)
	}
	return nil
}

// PutAddr is AddAddr for an address that the kernel takes away after some
// seconds, as `ip addr replace … valid_lft` does. It also gives one that is there
// already a new lifetime. Of a.Flags it takes IFA_F_NOPREFIXROUTE.
func PutAddr(ctx context.Context, c *ns.Conn, a Addr) error {
	m := addrMessage(a.Index, a.Prefix)
	if brd, ok := Broadcast(a.Prefix); ok {
		m.attr(unix.IFA_BROADCAST, brd.AsSlice()...)
	}
	if flags := a.Flags & unix.IFA_F_NOPREFIXROUTE; flags != 0 {
		m.attrU32(unix.IFA_FLAGS, flags)
	}
	m.lifetimes(a.Preferred, a.Valid)
	req := m.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	if _, err := c.Do(ctx, req, 0); err != nil {
		return fmt.Errorf("put address %s: %w", a.Prefix, err)
	}
	return nil
}

// DelAddr takes an address from the link; nil when it is not there.
func DelAddr(ctx context.Context, c *ns.Conn, index int, p netip.Prefix) error {
	_, err := c.Do(ctx, addrMessage(index, p).request(unix.RTM_DELADDR, unix.NLM_F_ACK), 0)
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %s: %w", p, err)
	}
	return nil
}

// addrMessage is a struct ifaddrmsg and the address.
func addrMessage(index int, p netip.Prefix) message {
	m := make(message, unix.SizeofIfAddrmsg, 64)
	m[0], m[1] = uint8(Family(p.Addr())), uint8(p.Bits())
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	m.attr(unix.IFA_LOCAL, p.Addr().AsSlice()...)
	m.attr(unix.IFA_ADDRESS, p.Addr().AsSlice()...)
	return m
}

// Addrs lists the addresses of the link with this index; 0: of all links. A link that
// has gone is fs.ErrNotExist.
func Addrs(ctx context.Context, c *ns.Conn, index int) ([]Addr, error) {
	msgs, err := addrMessages(ctx, c, index)
	if errors.Is(err, unix.ENODEV) {
		return nil, errs.New(fs.ErrNotExist, "the interface has gone meanwhile")
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	addrs := make([]Addr, 0, len(msgs))
	for _, m := range msgs {
		if a, ok := parseAddr(m); ok && (index == 0 || a.Index == index) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

func parseAddr(m []byte) (Addr, bool) {
	if len(m) < unix.SizeofIfAddrmsg {
		return Addr{}, false
	}
	msg := nl.DeserializeIfAddrmsg(m)
	attrs := m[unix.SizeofIfAddrmsg:]
	ip := Attr(attrs, unix.IFA_LOCAL)
	if ip == nil {
		ip = Attr(attrs, unix.IFA_ADDRESS)
	}
	addr, ok := netip.AddrFromSlice(ip)
	a := Addr{Index: int(msg.Index), Scope: msg.Scope, Flags: uint32(msg.Flags), Prefix: netip.PrefixFrom(addr, int(msg.Prefixlen))}
	if flags := Attr(attrs, unix.IFA_FLAGS); flags != nil {
		a.Flags = u32(flags)
	}
	if proto := Attr(attrs, ifaProto); len(proto) == 1 {
		a.Proto = proto[0]
	}
	a.Preferred, a.Valid = Forever, Forever
	if info := Attr(attrs, unix.IFA_CACHEINFO); len(info) >= 8 {
		a.Preferred, a.Valid = u32(info), u32(info[4:])
	}
	return a, ok
}

// Broadcast is the last address of an IPv4 subnet; subnets of /31 and /32 have
// none (RFC 3021).
func Broadcast(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b), true
}

// Family is the address's AF_INET or AF_INET6.
func Family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
