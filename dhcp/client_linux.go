package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

func (c *Client) acquire(ctx context.Context, last *Lease) (*Lease, error) {
	conn, err := c.listenFrames(ctx)
	if err != nil {
		return nil, err
	}
	x, err := c.exchange(conn)
	if err != nil {
		return nil, err
	}
	defer x.close()
	ctx, cancel := c.limited(ctx)
	defer cancel()
	var h history
	if last == nil || !hostAddr(last.Addr.Addr()) {
		return discover(ctx, x, h)
	}
	l, err := x.reboot(ctx, last)
	switch {
	case errors.Is(err, ErrNAK), errors.Is(err, os.ErrDeadlineExceeded):
		return discover(ctx, x, h)
	case errors.Is(err, ErrInUse):
		h.failed(err)
		return discover(ctx, x, h)
	}
	return l, err
}

// An exchange is a Client with a socket.
type exchange struct {
	*Client
	io   *nclient4.Client
	conn *frameConn
}

// exchange takes conn over, also when it fails.
func (c *Client) exchange(conn *frameConn) (*exchange, error) {
	io, err := nclient4.NewWithConn(conn, c.MAC, nclient4.WithTimeout(c.timeout()), nclient4.WithRetry(c.tries()))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	return &exchange{Client: c, io: io, conn: conn}, nil
}

// close closes the sockets behind the caller's back: closing a packet socket waits
// for an RCU grace period, about 14 ms.
func (x *exchange) close() { go func() { _ = x.io.Close() }() }

// bind requests what was offered.
func (x *exchange) bind(ctx context.Context, offer *Lease) (*Lease, error) {
	return x.claimed(ctx, offer.Addr.Addr(), func() (*Lease, error) {
		return x.request(ctx, "dhcp request", requested(offer.Addr.Addr()), serverID(offer.Server))
	})
}

// offer sends a DISCOVER, which asks for no declined address, and takes the first offer that can
// be believed.
func (x *exchange) offer(ctx context.Context, declined inUse) (*Lease, error) {
	var mods []dhcpv4.Modifier
	if x.Requested.Is4() && !declined.has(x.Requested) {
		mods = append(mods, requested(x.Requested))
	}
	m, err := x.message(dhcpv4.MessageTypeDiscover, mods...)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	if err := fault.Step(ctx, "dhcp discover"); err != nil {
		return nil, err
	}
	a := answer{asked: x.Parameters, sent: time.Now()}
	_, err = x.io.SendAndRead(ctx, nclient4.DefaultServers, m, a.offered)
	if err != nil {
		return nil, x.silence(ctx, err, a.refused)
	}
	return a.lease, nil
}

// reboot asks whether a lease from an earlier life still holds.
func (x *exchange) reboot(ctx context.Context, last *Lease) (*Lease, error) {
	return x.claimed(ctx, last.Addr.Addr(), func() (*Lease, error) {
		l, err := x.request(ctx, "dhcp reboot", requested(last.Addr.Addr()))
		if err == nil && l.Addr.Addr() != last.Addr.Addr() {
			return nil, errs.New(ErrNAK, "dhcp: asked for %s, and was given %s", last.Addr.Addr(), l.Addr.Addr())
		}
		return l, err
	})
}

// request broadcasts a REQUEST and waits for ACK or NAK.
func (x *exchange) request(ctx context.Context, step string, mods ...dhcpv4.Modifier) (*Lease, error) {
	return x.ask(ctx, step, nclient4.DefaultServers, mods...)
}

func (x *exchange) ask(ctx context.Context, step string, to *net.UDPAddr, mods ...dhcpv4.Modifier) (*Lease, error) {
	m, err := x.message(dhcpv4.MessageTypeRequest, mods...)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	if err := fault.Step(ctx, step); err != nil {
		return nil, err
	}
	a := answer{asked: x.Parameters, sent: time.Now()}
	if want := m.ServerIdentifier(); want != nil {
		a.server, _ = netip.AddrFromSlice(want.To4())
	}
	reply, err := x.io.SendAndRead(ctx, to, m, a.acknowledged)
	if err != nil {
		return nil, x.silence(ctx, err, a.refused)
	}
	if reply.MessageType() == dhcpv4.MessageTypeNak {
		return nil, errs.New(ErrNAK, "dhcp: the server %v refused: %q", reply.ServerIdentifier(), printable(reply.Message()))
	}
	a.lease.ClientID = x.clientID(x.MAC)
	a.lease.ServerMAC = x.conn.sender(a.lease.Server)
	return a.lease, nil
}

// silence explains why no answer was taken.
func (x *exchange) silence(ctx context.Context, err, refused error) error {
	if ended := context.Cause(ctx); ended != nil {
		return fmt.Errorf("dhcp: waiting for a server on %s: %w", x.Name, ended)
	}
	if !errors.Is(err, nclient4.ErrNoResponse) {
		return fmt.Errorf("dhcp: %w", err)
	}
	why := "is a server on this network, and does a firewall let its answers in?"
	if refused != nil {
		why = "what came was refused: " + printable(refused.Error())
	}
	return errs.New(os.ErrDeadlineExceeded, "dhcp: no server answered on %s within %v: %s", x.Name, x.span(), why)
}

// An answer evaluates what servers say.
type answer struct {
	asked   []uint8
	server  netip.Addr // valid: the only one that may answer
	sent    time.Time
	lease   *Lease
	refused error
}

func (a *answer) offered(m *dhcpv4.DHCPv4) bool {
	return m.MessageType() == dhcpv4.MessageTypeOffer && a.parse(m)
}

func (a *answer) acknowledged(m *dhcpv4.DHCPv4) bool {
	server, _ := netip.AddrFromSlice(m.ServerIdentifier().To4())
	if a.server.IsValid() && server != a.server {
		return false
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeNak:
		return hostAddr(server)
	case dhcpv4.MessageTypeAck:
		return a.parse(m)
	}
	return false
}

func (a *answer) parse(m *dhcpv4.DHCPv4) bool {
	a.lease, a.refused = parse(m, a.asked, a.sent)
	return a.refused == nil
}

// renew asks the server that granted the lease: by a frame to the MAC that it
// answered from, and when nothing comes back through the kernel, which asks who
// has the server's address now.
func (c *Client) renew(ctx context.Context, l *Lease) (*Lease, error) {
	next, err := c.extend(ctx, l, "dhcp renew", net.IP(l.Server.AsSlice()))
	if !errors.Is(err, os.ErrDeadlineExceeded) || !l.onLink() {
		return next, err
	}
	routed := *l
	routed.ServerMAC = nil
	return c.extend(ctx, &routed, "dhcp renew", net.IP(l.Server.AsSlice()))
}

// extend asks one server, or all, to extend the lease, from the leased address.
func (c *Client) extend(ctx context.Context, l *Lease, step string, to net.IP) (*Lease, error) {
	conn, err := c.listenLeased(ctx, l)
	if err != nil {
		return nil, err
	}
	x, err := c.exchange(conn)
	if err != nil {
		return nil, err
	}
	defer x.close()
	extended, err := x.ask(ctx, step, &net.UDPAddr{IP: to, Port: serverPort}, from(l.Addr.Addr()), identity(l))
	if err == nil && extended.Addr.Addr() != l.Addr.Addr() {
		return nil, errs.New(ErrNAK, "dhcp: asked to extend %s, and was given %s", l.Addr.Addr(), extended.Addr.Addr())
	}
	return extended, err
}

// identity is the client identifier that the lease was got with.
func identity(l *Lease) dhcpv4.Modifier {
	if l.ClientID == nil {
		return func(*dhcpv4.DHCPv4) {}
	}
	return dhcpv4.WithOption(dhcpv4.OptClientIdentifier(l.ClientID))
}

func (c *Client) release(ctx context.Context, l *Lease) error {
	m, err := c.message(dhcpv4.MessageTypeRelease, from(l.Addr.Addr()), serverID(l.Server), identity(l))
	if err != nil {
		return fmt.Errorf("dhcp: %w", err)
	}
	conn, err := c.listenLeased(ctx, l)
	if err != nil {
		return err
	}
	defer func() { go func() { _ = conn.Close() }() }()
	if err := fault.Step(ctx, "dhcp release"); err != nil {
		return err
	}
	if _, err := conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IP(l.Server.AsSlice()), Port: serverPort}); err != nil {
		return fmt.Errorf("dhcp: release %s: %w", l.Addr.Addr(), err)
	}
	return conn.drain(ctx)
}
