package dhcp

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"time"

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
	// Port is the index of that port of the bridge Index which servers are behind: over DHCPv4 they
	// are asked by it, and answers that came in by another port do not count. 0 is none.
	Port int
	Config
}

// ErrInUse is what an error satisfies that says: the server gave an address that another host
// has. The address was declined.
//
// Of DHCPv4 [Client.Acquire] finds the other host, and the error tells its MAC. Of DHCPv6 the
// kernel finds it while pipework.Attach waits, and the error tells no MAC. That error also
// satisfies os.ErrDeadlineExceeded when nobody answered the next attempt.
var ErrInUse = errors.New("the address is in use")

// DeclineWait is the least time from a declined DHCPv4 address to the next attempt to get one
// (RFC 2131 section 3.1). Acquire waits so long itself, and whoever calls it again has to.
const DeclineWait = 10 * time.Second

// ErrNoAddrs is what a DHCPv6 server's word that it has no address to give
// satisfies (NoAddrsAvail).
var ErrNoAddrs = errors.New("the DHCP server has no address to give")

// Acquire gets a lease. It does not configure the interface.
//
// Of DHCPv4 it discovers servers and requests what the first one offers (RFC 2131 section 4.4.1).
// Where last is a lease that the client had before, it asks first whether that still holds
// (INIT-REBOOT, section 4.4.2), and discovers when it does not.
//
//   - A message is sent at most Config.Tries times. When nobody answers, the error satisfies
//     os.ErrDeadlineExceeded.
//   - An address that another host has is declined (see Config.Probe). Discovery begins again
//     after [DeclineWait].
//   - After a refusal discovery begins again a second later, and after another one two seconds
//     later.
//   - Discovery runs three times at most. It is not begun again when a server offers a declined
//     address again, nor when ctx's deadline comes before the wait is over.
//   - Acquire gives up after thirty seconds, or after three times what one unanswered message
//     takes when that is longer. Config.Probe is added to that.
//   - An error after an address in use tells each such address and the MAC of the host that has
//     it, and then what ended the last attempt. It satisfies [ErrInUse], and never
//     os.ErrDeadlineExceeded, also when nobody answered the last attempt.
//   - An error after refusals, and no address in use, satisfies [ErrNAK].
//
// Of DHCPv6 it solicits and requests, or rebinds the lease that the client had, which also
// extends it (RFC 8415 section 18.2). It takes the first server that offers an address. The
// interface needs a link-local address, for which it waits up to four seconds: that is how long
// the kernel may take to check it. Acquire does not look for other hosts that have the address:
// the kernel does, once the interface has it (see [Client.Decline]).
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
