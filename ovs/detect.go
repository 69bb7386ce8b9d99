package ovs

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// IsBridge says whether Open vSwitch has a bridge of this name. Where no OVSDB
// server listens at the endpoint ("" stands for the standard socket), there is
// none, and no error.
func IsBridge(ctx context.Context, endpoint, name string) (bool, error) {
	c := &Client{Endpoint: endpoint}
	defer func() { _ = c.Close() }()
	return c.IsBridge(ctx, name)
}

// IsBridge is [IsBridge] by this Client.
func (c *Client) IsBridge(ctx context.Context, name string) (bool, error) {
	s, end := c.session()
	defer end()
	got, err := s.transact(ctx, "find bridge", []ovsdb.Op{ovsdb.Select("Bridge", ovsdb.Has("name", name), "_uuid")})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return len(got[0]) > 0, nil
}

// Lookup is a [link.OVSLookup] by this Client: the Bridge of this name, and
// whether there is one, as IsBridge says.
func (c *Client) Lookup(ctx context.Context, name string) (link.Backend, bool, error) {
	exists, err := c.IsBridge(ctx, name)
	return Bridge{Name: name, Client: c}, exists, err
}

var _ link.OVSLookup = (*Client)(nil).Lookup
