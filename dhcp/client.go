package dhcp

import (
	"context"
	"errors"
	"io/fs"
	"net"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// ErrNAK is what a server's refusal (DHCPNAK) satisfies: the lease is void and
// the address must not be used any longer.
var ErrNAK = errors.New("the DHCP server refused")

// A Client asks for leases on one Ethernet interface of a guest, which must be
// up. Each call is one exchange and leaves nothing open. Calls of one Client may
// run at once, but servers may see them as one client's.
type Client struct {
	Guest *ns.Handle
	Name  string // of the interface, for messages
	Index int    // of the interface inside the guest
	MAC   net.HardwareAddr
	Config
}

// ErrInUse is what an address satisfies that a server gave, and that another host has. It was
// declined, and a client asks again ten seconds later at the earliest (RFC 2131 section 3.1).
var ErrInUse = errors.New("the address is in use")

// ErrNoAddrs is what a DHCPv6 server's word that it has no address to give
// satisfies (NoAddrsAvail).
var ErrNoAddrs = errors.New("the DHCP server has no address to give")

// Acquire gets a lease: by discovery (RFC 2131 section 4.4.1), or, where last is
// a lease that the client had before, by asking whether it still holds
// (INIT-REBOOT, section 4.4.2) and discovery when it does not. It keeps asking
// until Config.Tries are used up or ctx ends; no answer is an error that
// satisfies os.ErrDeadlineExceeded. An address that is found in use (see Config.Probe) is
// declined and another one asked for, ten seconds later (RFC 2131 section 3.1). A
// refusal makes it begin anew after a second, then after two. It begins three times
// at most, and not again where an address is offered a second time and still in use, or
// where ctx ends before it may. In all, it takes thirty seconds at most, or three
// times as long as an unanswered message, whichever is more, and Config.Probe. The error tells
// what failed first, also where no answer came after that: each address in use, with the MAC of
// the host that has it, satisfies [ErrInUse], and then not os.ErrDeadlineExceeded.
//
// Of DHCPv6 (RFC 8415 section 18.2) it solicits and requests, or rebinds the lease
// that the client had, which also extends it. It takes the first server that
// offers an address. The interface needs a link-local address, for which it waits
// up to four seconds: that is how long the kernel may take to check it.
//
// Acquire does not configure the interface.
func (c *Client) Acquire(ctx context.Context, last *Lease) (*Lease, error) {
	switch c.Family {
	case IPv4:
		return c.acquire(ctx, last)
	case IPv6:
		return c.acquire6(ctx, last)
	}
	return nil, errs.New(fs.ErrInvalid, "dhcp: a client asks for one lease: its family is %q or %q, not %q", IPv4, IPv6, c.Family)
}

// Renew extends a lease at the server that granted it, by unicast (T1, RENEWING).
// The interface must have the lease's address. A refusal satisfies [ErrNAK], no
// answer os.ErrDeadlineExceeded. Of DHCPv6 it is by multicast; a server that does
// not know the lease is asked for the same addresses anew.
func (c *Client) Renew(ctx context.Context, l *Lease) (*Lease, error) {
	if l.Addr.Addr().Is6() {
		return c.extend6(ctx, l, dhcpv6.MessageTypeRenew)
	}
	return c.renew(ctx, l)
}

// Rebind extends a lease at any server, by broadcast (T2, REBINDING). It is
// otherwise like Renew.
func (c *Client) Rebind(ctx context.Context, l *Lease) (*Lease, error) {
	if l.Addr.Addr().Is6() {
		return c.extend6(ctx, l, dhcpv6.MessageTypeRebind)
	}
	return c.extend(ctx, l, "dhcp rebind", net.IPv4bcast)
}

// Release gives a lease back (RFC 2131 section 4.4.6). The interface must have
// the lease's address still: servers ignore a release that does not come from
// there. It returns once the message has left the interface, or after a second
// in which the server could not be found; there is no answer to it.
//
// A DHCPv6 server answers: Release asks three times at most, and no answer
// satisfies os.ErrDeadlineExceeded. Without a Lease.ServerID it asks first who the
// server is. The interface need not have the addresses.
func (c *Client) Release(ctx context.Context, l *Lease) error {
	if l.Addr.Addr().Is6() {
		return c.end6(ctx, l, dhcpv6.MessageTypeRelease)
	}
	return c.release(ctx, l)
}

// Decline tells a DHCPv6 server that somebody else on the link has the lease's
// addresses (RFC 8415 section 18.2.8), as the kernel found out when the interface
// was given them: it then marks an address as IFA_F_DADFAILED, or takes one that
// has a lifetime away at once. It is otherwise like Release. DHCPv4 addresses are
// declined by Acquire, see Config.Probe: for those it is an error that satisfies
// errors.ErrUnsupported.
func (c *Client) Decline(ctx context.Context, l *Lease) error {
	if l.Addr.Addr().Is6() {
		return c.end6(ctx, l, dhcpv6.MessageTypeDecline)
	}
	return errs.New(errors.ErrUnsupported, "dhcp: decline %s: only of DHCPv6", l.Addr.Addr())
}
