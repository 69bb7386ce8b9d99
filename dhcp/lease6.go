package dhcp

import (
	"net/netip"
	"slices"
	"time"
)

// A Leased is one address of a DHCPv6 lease.
type Leased struct {
	Addr netip.Addr `json:"address"`
	// Preferred is until when new connections use it, Valid until when it may be
	// used at all; zero for ever.
	Preferred time.Time `json:"preferred,omitzero"`
	Valid     time.Time `json:"valid,omitzero"`
}

func sameAddr(a, b Leased) bool { return a.Addr == b.Addr }

// Has says whether a is one of the lease's addresses; a nil lease has none.
func (l *Lease) Has(a netip.Addr) bool {
	return l != nil && (l.Addr.Addr() == a || slices.ContainsFunc(l.Addrs, func(h Leased) bool { return h.Addr == a }))
}

// hold makes addrs the lease's, and the lease end with the last of them that ends.
func (l *Lease) hold(addrs []Leased) {
	l.Addrs, l.Addr, l.Expires = addrs, netip.PrefixFrom(addrs[0].Addr, 128), time.Time{}
	for _, a := range addrs {
		if a.Valid.After(l.Expires) {
			l.Expires = a.Valid
		}
	}
	if l.Expires.IsZero() { // none ends
		l.Renew, l.Rebind = time.Time{}, time.Time{}
		return
	}
	l.Rebind = earlier(l.Rebind, l.Expires)
	l.Renew = earlier(l.Renew, l.Rebind)
}

// earlier is the first of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// keeping adds the addresses of last that the answer said nothing about, while
// they are valid (RFC 8415 section 18.2.10.1).
func (l *Lease) keeping(last *Lease, mentioned []netip.Addr, now time.Time) {
	addrs := l.Addrs
	for _, a := range last.Addrs {
		if !slices.Contains(mentioned, a.Addr) && (a.Valid.IsZero() || a.Valid.After(now)) {
			addrs = append(addrs, a)
		}
	}
	l.hold(addrs)
}
