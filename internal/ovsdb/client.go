package ovsdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/fault"
)

// A Client speaks to one OVSDB server. It connects when it is first used, again
// when the connection has ended, and keeps the connection until Close, together
// with one goroutine. It may be used by several goroutines.
type Client struct {
	// Database is the one that transactions are about.
	Database string
	// Endpoint is where the server listens, as ovsdb(7) writes it: unix:FILE,
	// tcp:HOST[:PORT] or ssl:HOST[:PORT].
	Endpoint string
	// TLS says how to verify the server of an ssl endpoint, and who to be.
	TLS *tls.Config

	dialing lock // whose holder connects

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

// Transact runs one transaction, and connects first where need be. An operation
// that the server refused is an Error in the result; an error is a failure of the
// connection, after which the server may or may not have committed.
func (c *Client) Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error) {
	conn, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	return c.transact(ctx, conn, ops)
}

// Living is the connection that there is, for transactions that are no use on another
// one; false: there is none.
func (c *Client) Living() (Transactor, bool) {
	conn := c.alive()
	return living{c, conn}, conn != nil
}

// living is one connection of a Client.
type living struct {
	client *Client
	conn   *conn
}

// Transact fails once the connection has ended.
func (l living) Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error) {
	return l.client.transact(ctx, l.conn, ops)
}

func (c *Client) transact(ctx context.Context, conn *conn, ops []libovsdb.Operation) ([]libovsdb.OperationResult, error) {
	answer, err := conn.call(ctx, "transact", request(c.Database, ops))
	if err == nil {
		var all []libovsdb.OperationResult
		if all, err = decode(answer, len(ops)); err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("OVSDB at %s: %w", c.Endpoint, err)
}

// Connect makes sure that there is a connection.
func (c *Client) Connect(ctx context.Context) error {
	_, err := c.connected(ctx)
	return err
}

// connected is the connection, or a new one where there is none that lives.
// Callers that connect at the same time share what the first one made: a server that
// is hung has room for only some dozens of connections.
func (c *Client) connected(ctx context.Context) (*conn, error) {
	if conn := c.alive(); conn != nil {
		return conn, nil
	}
	if err := fault.Step(ctx, "ovsdb connect"); err != nil {
		return nil, err
	}
	if err := c.dialing.lock(ctx); err != nil {
		return nil, fmt.Errorf("connect to OVSDB at %s: %w", c.Endpoint, err)
	}
	defer c.dialing.unlock()
	if conn := c.alive(); conn != nil {
		return conn, nil
	}
	made, err := dial(ctx, c.Endpoint, c.TLS)
	if err != nil {
		return nil, err
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

// A lock is a mutex that is waited for until a context ends.
type lock struct {
	once  sync.Once
	token chan struct{}
}

func (l *lock) lock(ctx context.Context) error {
	l.once.Do(func() { l.token = make(chan struct{}, 1) })
	select {
	case l.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lock) unlock() { <-l.token }
