package ovs

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// IsBridge says whether the server at this endpoint has a bridge of this name.
func IsBridge(ctx context.Context, endpoint, name string) (bool, error) {
	c := &Client{Endpoint: endpoint}
	defer func() { _ = c.Close() }()
	return c.IsBridge(ctx, name)
}

// IsBridge is [Client.Lookup] where no Open vSwitch is no bridge, and no error.
func (c *Client) IsBridge(ctx context.Context, name string) (bool, error) {
	_, exists, err := c.Lookup(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return exists, err
}

// LookAgainAfter has Collect and Orphans look for the second time after d.
func (c *Client) LookAgainAfter(d time.Duration) { c.apart = d }
