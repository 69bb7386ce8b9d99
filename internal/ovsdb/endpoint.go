package ovsdb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework/internal/errs"
)

// StandardEndpoint is where Open vSwitch listens unless it is told otherwise.
const StandardEndpoint = "unix:/var/run/openvswitch/db.sock"

// Management is where ovs-vswitchd speaks OpenFlow for a bridge: beside the database's socket,
// ovs-vswitchd(8). Another machine's is out of reach.
func Management(endpoint, bridge string) (path string, err error) {
	file, here := strings.CutPrefix(cmp.Or(endpoint, StandardEndpoint), "unix:")
	if !here {
		return "", errs.New(errors.ErrUnsupported, "OpenFlow is spoken by a socket on the switch's own machine: use an endpoint unix:FILE there, instead of %s", endpoint)
	}
	return filepath.Join(filepath.Dir(file), bridge+".mgmt"), nil
}

// standardPort is IANA's for OVSDB.
const standardPort = "6640"

// dial connects to an endpoint.
func dial(ctx context.Context, endpoint string, config *tls.Config) (*conn, error) {
	kind, address, _ := strings.Cut(endpoint, ":")
	var c net.Conn
	var err error
	switch kind {
	case "unix":
		c, err = new(net.Dialer).DialContext(ctx, "unix", address)
	case "tcp":
		c, err = new(net.Dialer).DialContext(ctx, "tcp", withPort(address))
	case "ssl":
		if err := verifies(config); err != nil {
			return nil, err
		}
		c, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", withPort(address))
	default:
		return nil, errs.New(fs.ErrInvalid, "OVSDB endpoint %q: it begins with unix:, tcp: or ssl:", endpoint)
	}
	if err != nil {
		return nil, dialError(ctx, endpoint, err)
	}
	return newConn(c), nil
}

// withPort adds the standard port to a host without one.
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), standardPort)
}

// verifies refuses a configuration with which anybody could be the server.
func verifies(c *tls.Config) error {
	if c != nil && c.InsecureSkipVerify && c.VerifyConnection == nil && c.VerifyPeerCertificate == nil {
		return errs.New(fs.ErrInvalid, "TLS with InsecureSkipVerify alone would trust any server: give RootCAs, or VerifyConnection")
	}
	return nil
}

// dialError says what a failure to connect means for a user.
func dialError(ctx context.Context, endpoint string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("connect to OVSDB at %s: %w", endpoint, context.Cause(ctx))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errs.New(fs.ErrNotExist, "no OVSDB server listens at %s", endpoint)
	case errors.Is(err, fs.ErrPermission):
		return errs.New(fs.ErrPermission, "connect to OVSDB at %s: permission denied (run as root)", endpoint)
	}
	return fmt.Errorf("connect to OVSDB at %s: %w", endpoint, err)
}
