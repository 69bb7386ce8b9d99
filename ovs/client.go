package ovs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// database is the only one that this package speaks of.
const database = "Open_vSwitch"

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
	// Transactor, where it is not nil, runs all transactions in the place of a
	// connection of the Client's own; Endpoint and TLS say nothing then, and Close
	// leaves it open.
	Transactor Transactor

	apart time.Duration // between the two looks of Collect; 0: a second
	back  leaver
	hush  silence

	mu  sync.Mutex
	own *ovsdb.Client
}

// Close ends the Client's own connection, if there is one. The Client may be used
// again.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		return nil
	}
	err := c.own.Close()
	c.own = nil
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

var _ Transactor = (*Client)(nil)

// Transact runs one transaction, as a [Transactor] does, for what this package has no call for.
// The Client must not be nil. While the server is silent, it fails at once.
func (c *Client) Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error) {
	if err := c.hush.lasts(); err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	got, err := c.transactor().Transact(ctx, ops...)
	c.hush.heard(err)
	return got, err
}

// transact runs one transaction; what names it. When the call returns with an
// error that is no refusal, the server may or may not have committed it, or may
// do so later. While the server is silent, it fails at once.
func (c *Client) transact(ctx context.Context, what string, ops []ovsdb.Op) ([]ovsdb.Result, error) {
	if err := c.hush.lasts(); err != nil {
		return nil, err
	}
	got, err := c.run(ctx, what, ops)
	c.hush.heard(err)
	return got, err
}

// run is transact, also while the server is silent.
func (c *Client) run(ctx context.Context, what string, ops []ovsdb.Op) ([]ovsdb.Result, error) {
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return ovsdb.Run(ctx, c.transactor(), what, ops)
}

// connect makes sure that there is a server to speak to.
func (c *Client) connect(ctx context.Context) error {
	if c.Transactor != nil {
		return nil
	}
	ctx, cancel := ovsdb.Bounded(ctx)
	defer cancel()
	err := c.server().Connect(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		//nolint:staticcheck // the classic wording, which scripts look for
		return fmt.Errorf("Need OVS installed on the system to create an ovs bridge: %w: start Open vSwitch (package openvswitch-switch), or give its endpoint", err)
	}
	return err
}

func (c *Client) transactor() ovsdb.Transactor {
	if c.Transactor != nil {
		return punctual{c.Transactor}
	}
	return c.server()
}

// server is the one that this Client connects to.
func (c *Client) server() *ovsdb.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own = &ovsdb.Client{Database: database, Endpoint: c.Endpoint, TLS: c.TLS}
		if c.Endpoint == "" {
			c.own.Endpoint = ovsdb.StandardEndpoint
		}
	}
	return c.own
}
