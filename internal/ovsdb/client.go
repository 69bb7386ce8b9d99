package ovsdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"github.com/go-pipework/pipework/internal/fault"
)

// A Client speaks to one OVSDB server. It connects when it is first used, again
// when the connection has ended, and keeps the connection until Close, together
// with one goroutine. It may be used by several goroutines.
type Client struct {
	Database string
	// Endpoint is where the server listens, as ovsdb(7) writes it: unix:FILE,
	// tcp:HOST[:PORT] or ssl:HOST[:PORT].
	Endpoint string
	// TLS says how to verify the server of an ssl endpoint, and who to be.
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

// Transact runs one transaction; what names it. When the call returns with an
// error that is no [Refusal], the server may or may not have committed it, or may
// do so later.
func (c *Client) Transact(ctx context.Context, what string, ops []Op) ([]Result, error) {
	conn, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	if err := fault.Step(ctx, "ovsdb transact "+what); err != nil {
		return nil, err
	}
	answer, err := conn.call(ctx, "transact", request(c.Database, ops))
	if err != nil {
		return nil, fmt.Errorf("OVSDB at %s: %w", c.Endpoint, err)
	}
	return results(answer, ops)
}

// Connect makes sure that there is a connection.
func (c *Client) Connect(ctx context.Context) error {
	_, err := c.connected(ctx)
	return err
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
