package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// backend is what the line's host interface stands for. One that is moved into the
// guest itself may be there already.
func (c *command) backend(ctx context.Context, line config.Line) (link.Backend, error) {
	mac, byMAC := strings.CutPrefix(line.Interface, "mac:")
	if line.DirectPhys && !byMAC {
		return link.Phys{Device: line.Interface}, nil
	}
	b, err := c.Detect(ctx, line.Interface, new(ovs.Client).Lookup)
	if !line.DirectPhys || !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	at, missing := c.plugged(ctx, line.Guest, line.Name)
	if missing != nil || at == nil {
		return nil, err
	}
	want, _ := net.ParseMAC(mac)
	if device, is := strings.CutPrefix(at.Link, "phys:"); is && at.MAC.String() == want.String() {
		return link.Phys{Device: device}, nil
	}
	return nil, err
}
