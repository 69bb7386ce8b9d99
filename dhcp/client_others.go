//go:build !linux

package dhcp

import (
	"context"
	"errors"
	"net"
)

func (c *Client) acquire(context.Context, *Lease) (*Lease, error) { return nil, errors.ErrUnsupported }

func (c *Client) renew(context.Context, *Lease) (*Lease, error) { return nil, errors.ErrUnsupported }

func (c *Client) extend(context.Context, *Lease, string, net.IP) (*Lease, error) {
	return nil, errors.ErrUnsupported
}

func (c *Client) release(context.Context, *Lease) error { return errors.ErrUnsupported }
