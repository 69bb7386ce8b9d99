//go:build !linux

package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/go-pipework/pipework/ns"
)

func (c *Client) acquire(context.Context, *Lease) (*Lease, error) { return nil, errors.ErrUnsupported }

func (c *Client) renew(context.Context, *Lease) (*Lease, error) { return nil, errors.ErrUnsupported }

func (c *Client) extend(context.Context, *Lease, string, net.IP) (*Lease, error) {
	return nil, errors.ErrUnsupported
}

func (c *Client) release(context.Context, *Lease) error { return errors.ErrUnsupported }

func (c *Client) acquire6(context.Context, *Lease) (*Lease, error) { return nil, errors.ErrUnsupported }

func (c *Client) extend6(context.Context, *Lease, dhcpv6.MessageType) (*Lease, error) {
	return nil, errors.ErrUnsupported
}

func (c *Client) end6(context.Context, *Lease, dhcpv6.MessageType) error {
	return errors.ErrUnsupported
}

func awaitSLAAC(context.Context, *ns.Handle, int) ([]netip.Prefix, error) {
	return nil, errors.ErrUnsupported
}
