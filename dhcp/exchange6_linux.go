package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// An exchange6 is a Client with a socket for DHCPv6.
type exchange6 struct {
	*Client
	id   identity6
	conn *net.UDPConn
}

// exchange6 opens the socket; last is the lease that it is about, if any.
func (c *Client) exchange6(ctx context.Context, last *Lease) (*exchange6, error) {
	conn, err := c.listen6(ctx)
	if err != nil {
		return nil, err
	}
	return &exchange6{c, c.identity6(last), conn}, nil
}

func (x *exchange6) close() { _ = x.conn.Close() }

// ask sends m until an answer comes that evaluate has nothing against, with doubled
// waits, so many times. A server without addresses is waited for others until it
// would have been asked again.
func (x *exchange6) ask(ctx context.Context, m *dhcpv6.Message, tries int, evaluate func(*reply6) error) (*reply6, error) {
	if err := fault.Step(ctx, "dhcp6 "+strings.ToLower(m.MessageType.String())); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = x.conn.SetReadDeadline(time.Unix(1, 0)) })()
	var refused error
	begin, wait := time.Now(), x.timeout()
	for range tries {
		now := time.Now()
		if _, err := x.conn.WriteToUDPAddrPort(elapsed(m, now.Sub(begin)), servers6); err != nil {
			return nil, fmt.Errorf("dhcp: send %v on %s: %w", m.MessageType, x.Name, err)
		}
		if err := x.conn.SetReadDeadline(now.Add(wait)); err != nil {
			return nil, fmt.Errorf("dhcp: %w", err)
		}
		for {
			r, err := x.read(ctx, m.TransactionID, begin)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			if r == nil {
				continue
			}
			if err := evaluate(r); err == nil {
				return r, nil
			} else if !errors.Is(refused, ErrNoAddrs) {
				refused = err
			}
		}
		if errors.Is(refused, ErrNoAddrs) {
			return nil, refused
		}
		wait *= 2
	}
	return nil, x.silence6(m, time.Since(begin), refused)
}

// maxDatagram is more than servers send, and little enough to be read quickly
// whatever is in it.
const maxDatagram = 2 << 10

// read reads one datagram; nil where it is not the answer.
func (x *exchange6) read(ctx context.Context, id dhcpv6.TransactionID, sent time.Time) (*reply6, error) {
	b := make([]byte, maxDatagram)
	n, from, err := x.conn.ReadFromUDPAddrPort(b)
	if ended := context.Cause(ctx); ended != nil {
		return nil, fmt.Errorf("dhcp: waiting for a server on %s: %w", x.Name, ended)
	}
	if err != nil {
		return nil, fmt.Errorf("dhcp: wait for a server on %s: %w", x.Name, err)
	}
	if n < 4 || dhcpv6.TransactionID(b[1:4]) != id {
		return nil, nil
	}
	r, err := parse6(b[:n], x.id, sent)
	if err != nil {
		return nil, nil
	}
	if r.lease != nil {
		r.lease.Server = from.Addr().WithZone("")
	}
	return r, nil
}

// silence6 explains why no answer was taken.
func (x *exchange6) silence6(m *dhcpv6.Message, took time.Duration, refused error) error {
	why := "is one on this network, and does a firewall let its answers in?"
	if refused != nil {
		why = "what came was refused: " + printable(refused.Error())
	}
	return errs.New(os.ErrDeadlineExceeded, "dhcp: no DHCPv6 server answered a %v on %s within %v: %s",
		m.MessageType, x.Name, took.Round(time.Millisecond), why)
}
