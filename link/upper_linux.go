package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/namespaces"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// upperKinds stand on another interface, and stay on it when that moves to another
// namespace (macvlan_device_event in drivers/net/macvlan.c and its like).
var upperKinds = []string{"ipvlan", "ipvtap", "macvlan", "macvtap", "vlan"}

// uppers are interfaces in one namespace that stand on an interface of the host's.
type uppers struct {
	guest *ns.Guest
	conn  *ns.Conn // opened inside it
	links []*rtnl.Link
}

// eachUpper calls f for every other namespace that has interfaces of these kinds which stand
// on the host's interface lower, until f returns false. The host's kernel does not list
// them, so it looks into every namespace that [namespaces.All] finds and that may be looked
// into.
func eachUpper(ctx context.Context, h Host, lower *rtnl.Link, kinds []string, f func(uppers) (bool, error)) error {
	if err := fault.Step(ctx, "look into every namespace"); err != nil { // one, however many there are
		return err
	}
	ctx = fault.With(ctx, nil)
	for t := range namespaces.All() {
		goOn, err := inside(ctx, t, func(g *ns.Guest, c *ns.Conn) (bool, error) {
			if g.Inode() == h.Inode() {
				return true, nil
			}
			links, err := uppersIn(ctx, h, c, lower, kinds)
			if err != nil || len(links) == 0 {
				return true, err
			}
			return f(uppers{g, c, links})
		})
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// inside calls f with the target, open, and a connection in there. One that has ended, or
// may not be looked into, is passed over.
func inside(ctx context.Context, t ns.Target, f func(*ns.Guest, *ns.Conn) (bool, error)) (goOn bool, err error) {
	g, err := t.Open(ctx)
	if err != nil {
		return true, unlessClosed(err)
	}
	defer func() { _ = g.Close() }()
	conn, err := g.Conn(ctx)
	if err != nil {
		return true, unlessClosed(err)
	}
	defer func() { _ = conn.Close() }()
	return f(g, conn)
}

// unlessClosed is err, unless that says that a namespace is no more, or is not ours to see.
func unlessClosed(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// uppersIn is eachUpper for the namespace of c.
func uppersIn(ctx context.Context, h Host, c *ns.Conn, lower *rtnl.Link, kinds []string) ([]*rtnl.Link, error) {
	all, err := rtnl.Links(ctx, c)
	all = slices.DeleteFunc(all, func(l *rtnl.Link) bool {
		return !l.Foreign || l.Parent != lower.Index || !slices.Contains(kinds, l.Kind)
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	id, err := rtnl.NSID(ctx, c, h.Handle)
	if err != nil || id < 0 {
		return nil, err
	}
	return slices.DeleteFunc(all, func(l *rtnl.Link) bool { return l.NSID != id }), nil
}

// standing are the interfaces of guests that stand on the host's interface nic.
func standing(ctx context.Context, h Host, nic *rtnl.Link) (ids []deviceID, err error) {
	ids = []deviceID{}
	err = eachUpper(ctx, h, nic, upperKinds, func(u uppers) (bool, error) {
		there, err := identifyAll(ctx, u.guest.Handle, u.links)
		ids = slices.AppendSeq(ids, maps.Values(there))
		return true, err
	})
	return ids, err
}

// removals is how often removeUppers looks for more: with one macvlan a guest can make
// further ones on the same interface.
const removals = 10

// removeUppers removes what a guest made on an interface of the host's while it had it:
// by a macvlan it would still send and hear what the host does. What stood on it before
// stays, and what is on one of which there is no record. Once all is removed, the record
// says that there is nothing to be removed.
func (r *nic) removeUppers(ctx context.Context, h Host, nic *rtnl.Link) error {
	if r.Upper == nil {
		return nil
	}
	for range removals {
		found, err := r.removeSome(ctx, h, nic)
		if err != nil {
			return fmt.Errorf("remove what the guest made on it: %w", err)
		}
		if !found {
			r.Upper = nil
			return r.save(ctx)
		}
	}
	return errors.New("remove what the guest made on it: it makes more all the time: end the guest, and do it again")
}

// removeSome removes what it finds, and says whether that was anything.
func (r *nic) removeSome(ctx context.Context, h Host, nic *rtnl.Link) (found bool, err error) {
	err = eachUpper(ctx, h, nic, upperKinds, func(u uppers) (bool, error) {
		ids, err := identifyAll(ctx, u.guest.Handle, u.links)
		if err != nil {
			return false, err
		}
		for index, id := range ids {
			if slices.Contains(r.Upper, id) {
				continue
			}
			found = true
			if err := rtnl.DelLinkByIndex(ctx, u.conn, index); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	return found, err
}
