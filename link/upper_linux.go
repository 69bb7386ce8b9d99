package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/namespaces"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// upperKinds stand on another interface, and stay on it when that moves to another
// namespace (macvlan_device_event in drivers/net/macvlan.c and its like).
var upperKinds = []string{"ipvlan", "ipvtap", "macvlan", "macvtap", "vlan"}

// eachUpper calls f for every interface of these kinds in another namespace that stands
// on the host's interface lower, until f returns false. The host's kernel does not list
// them, so it looks into every namespace. Namespaces that only an open file holds are
// not found, nor are those that may not be looked into.
func eachUpper(ctx context.Context, h Host, lower *rtnl.Link, kinds []string, f func(*ns.Guest, *ns.Conn, *rtnl.Link) (bool, error)) error {
	if err := fault.Step(ctx, "look into every namespace"); err != nil { // one, however many there are
		return err
	}
	for _, t := range namespaces.Every() {
		goOn, err := uppersIn(fault.With(ctx, nil), h, t, lower, kinds, f)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrPermission): // it ended, or is not ours to see
		case err != nil || !goOn:
			return err
		}
	}
	return nil
}

// uppersIn is eachUpper for one namespace.
func uppersIn(ctx context.Context, h Host, t ns.Target, lower *rtnl.Link, kinds []string, f func(*ns.Guest, *ns.Conn, *rtnl.Link) (bool, error)) (bool, error) {
	g, err := t.Open(ctx)
	if err != nil {
		return true, err
	}
	defer func() { _ = g.Close() }()
	if g.Inode() == h.Inode() {
		return true, nil
	}
	conn, err := g.Conn(ctx)
	if err != nil {
		return true, err
	}
	defer func() { _ = conn.Close() }()
	all, err := rtnl.Links(ctx, conn)
	all = slices.DeleteFunc(all, func(l *rtnl.Link) bool {
		return !l.Foreign || l.Parent != lower.Index || !slices.Contains(kinds, l.Kind)
	})
	if err != nil || len(all) == 0 {
		return true, err
	}
	id, err := rtnl.NSID(ctx, conn, h.Handle)
	if err != nil || id < 0 {
		return true, err
	}
	for _, l := range all {
		if l.NSID != id {
			continue
		}
		if goOn, err := f(g, conn, l); err != nil || !goOn {
			return false, err
		}
	}
	return true, nil
}

// standing are the interfaces of guests that stand on the host's interface nic.
func standing(ctx context.Context, h Host, nic *rtnl.Link) (ids []deviceID, err error) {
	ids = []deviceID{}
	err = eachUpper(ctx, h, nic, upperKinds, func(g *ns.Guest, _ *ns.Conn, l *rtnl.Link) (bool, error) {
		id, err := identify(ctx, g.Handle, l)
		ids = append(ids, id)
		return true, err
	})
	return ids, err
}

// removeUppers removes what a guest made on an interface of the host's while it had it:
// by a macvlan it would still send and hear what the host does. What stood on it before
// stays, and what is on one of which there is no record.
func (r *nic) removeUppers(ctx context.Context, h Host, nic *rtnl.Link) error {
	if r.Upper == nil {
		return nil
	}
	return eachUpper(ctx, h, nic, upperKinds, func(g *ns.Guest, c *ns.Conn, l *rtnl.Link) (bool, error) {
		id, err := identify(ctx, g.Handle, l)
		if err == nil && !slices.Contains(r.Upper, id) {
			err = rtnl.DelLinkByIndex(ctx, c, l.Index)
		}
		if err != nil {
			return false, fmt.Errorf("remove what the guest made on it: %w", err)
		}
		return true, nil
	})
}
