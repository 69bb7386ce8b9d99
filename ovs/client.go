package ovs

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"github.com/go-pipework/pipework/internal/fault"
)

// A Client speaks to one OVSDB server. It connects when it is first used,
// again when the connection has ended, and keeps the connection until Close,
// together with one goroutine. Share one among the Bridges of a program that
// plugs in many guests. It may be used by several goroutines; a nil Client is
// the standard socket, connected for the length of each call.
type Client struct {
	// Endpoint is where the server listens, as ovsdb(7) writes it: unix:FILE,
	// tcp:HOST[:PORT] or ssl:HOST[:PORT]; "" stands for
	// unix:/var/run/openvswitch/db.sock.
	Endpoint string
	// TLS says how to verify the server of an ssl endpoint, and who to be. nil
	// takes the system's authorities and the endpoint's host name. A
	// configuration that verifies nobody (InsecureSkipVerify without
	// VerifyConnection or VerifyPeerCertificate) is refused with fs.ErrInvalid.
	TLS *tls.Config

	mu   sync.Mutex
	conn *conn
}

// Close ends the connection, if there is one. The Client may be used again.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	err := c.conn.close()
	c.conn = nil
	return err
}

// session is a client for the length of one call: c itself, or where that is
// nil, one that end closes.
func (c *Client) session() (s *Client, end func()) {
	if c != nil {
		return c, func() {}
	}
	s = new(Client)
	return s, func() { _ = s.Close() }
}

// transact runs one transaction; what names it. When the call returns with an
// error that is no *refusal, the server may or may not have committed it, or may
// do so later.
func (c *Client) transact(ctx context.Context, what string, ops []operation) ([]result, error) {
	conn, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	if err := fault.Step(ctx, "ovsdb transact "+what); err != nil {
		return nil, err
	}
	answer, err := conn.call(ctx, "transact", request(ops))
	if err != nil {
		return nil, fmt.Errorf("OVSDB at %s: %w", orStandard(c.Endpoint), err)
	}
	return results(answer, ops)
}

// connected is the connection, or a new one where there is none that lives.
// Callers that connect at the same time share what the first one made.
func (c *Client) connected(ctx context.Context) (*conn, error) {
	if conn := c.alive(); conn != nil {
		return conn, nil
	}
	if err := fault.Step(ctx, "ovsdb connect"); err != nil {
		return nil, err
	}
	made, err := dial(ctx, c.Endpoint, c.TLS)
	if err != nil {
		return nil, err
	}
	if conn := c.alive(); conn != nil {
		_ = made.close()
		return conn, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = made
	return made, nil
}

func (c *Client) alive() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && c.conn.ended() {
		_ = c.conn.close()
		c.conn = nil
	}
	return c.conn
}
