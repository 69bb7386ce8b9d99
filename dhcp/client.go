package dhcp

import (
	"context"
	"errors"
	"net"

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

// Acquire gets a lease: by discovery (RFC 2131 section 4.4.1), or, where last is
// a lease that the client had before, by asking whether it still holds
// (INIT-REBOOT, section 4.4.2) and discovery when it does not. It keeps asking
// until Config.Tries are used up or ctx ends; no answer is an error that
// satisfies os.ErrDeadlineExceeded. An address that Config.Probe finds in use is
// declined and another one asked for.
//
// Acquire does not configure the interface.
func (c *Client) Acquire(ctx context.Context, last *Lease) (*Lease, error) {
	return c.acquire(ctx, last)
}

// Renew extends a lease at the server that granted it, by unicast (T1, RENEWING).
// The interface must have the lease's address. A refusal satisfies [ErrNAK], no
// answer os.ErrDeadlineExceeded.
func (c *Client) Renew(ctx context.Context, l *Lease) (*Lease, error) {
	return c.renew(ctx, l)
}

// Rebind extends a lease at any server, by broadcast (T2, REBINDING). It is
// otherwise like Renew.
func (c *Client) Rebind(ctx context.Context, l *Lease) (*Lease, error) {
	return c.extend(ctx, l, "dhcp rebind", net.IPv4bcast)
}

// Release gives a lease back (RFC 2131 section 4.4.6). The interface must have
// the lease's address still: servers ignore a release that does not come from
// there. It returns once the message has left the interface, or after a second
// in which the server could not be found; there is no answer to it.
func (c *Client) Release(ctx context.Context, l *Lease) error { return c.release(ctx, l) }
