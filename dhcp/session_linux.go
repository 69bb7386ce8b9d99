package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// identify opens the guest once, to know it again.
func (e *entry) identify(ctx context.Context) error {
	g, mac, _, err := e.find(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	e.guest, e.inode, e.mac = g.Identity, g.Inode(), mac
	e.pidfd, err = g.DupPidfd()
	return err
}

// find opens the guest and looks the interface up.
func (e *entry) find(ctx context.Context) (*ns.Guest, net.HardwareAddr, int, error) {
	g, err := e.Target.Open(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	l, err := lookUp(ctx, g, e.Interface)
	if err != nil {
		_ = g.Close()
		return nil, nil, 0, err
	}
	return g, l.MAC, l.Index, nil
}

func lookUp(ctx context.Context, g *ns.Guest, name string) (*rtnl.Link, error) {
	conn, err := g.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return rtnl.LinkByName(ctx, conn, name)
}

// An openGuest is the guest of an entry while it is open.
type openGuest struct {
	*Client
	guest *ns.Guest
}

// openSession opens the guest once more, and makes sure that it and its interface are
// still the same: another one may have taken over PID, name or namespace number.
func openSession(ctx context.Context, e *entry) (session, error) {
	if err := e.dead(); err != nil {
		return nil, err
	}
	g, mac, index, err := e.find(ctx)
	if err != nil {
		return nil, err
	}
	err = e.dead() // after it was opened: then it cannot be another's
	if err == nil && g.Inode() != e.inode || err == nil && !bytes.Equal(mac, e.mac) {
		err = errs.New(fs.ErrNotExist, "%s has another %s now", g.Name, e.Interface)
	}
	if err != nil {
		_ = g.Close()
		return nil, err
	}
	o := &openGuest{&Client{Guest: g.Handle, Name: e.Interface, Index: index, MAC: mac, Config: e.Config}, g}
	if e.Port == "" {
		return o, nil
	}
	port, err := lookUp(ctx, g, e.Port)
	if err != nil {
		_ = g.Close()
		return nil, fmt.Errorf("dhcp: %s has no port now: %s", e.Interface, err.Error()) // it may come back: no fs.ErrNotExist
	}
	o.Port = port.Index
	return o, nil
}

// Guest is the open guest.
func (o *openGuest) Guest() *ns.Guest { return o.guest }

// Close lets the guest go.
func (o *openGuest) Close() { _ = o.guest.Close() }
