package link

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/namespaces"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// eachVLAN calls f for every VLAN interface in another namespace that stands on lower,
// until f returns false. The host's kernel does not list them, so it looks into every
// namespace. Namespaces that only an open file holds are not found, nor are
// those that may not be looked into.
func eachVLAN(ctx context.Context, h Host, lower *rtnl.Link, f func(ns.Identity, *rtnl.Link) bool) error {
	for _, t := range namespaces.Every() {
		guest, vlans, err := vlansIn(ctx, h, t, lower)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrPermission): // it ended, or is not ours to see
			continue
		case err != nil:
			return err
		}
		for _, l := range vlans {
			if !f(guest, l) {
				return nil
			}
		}
	}
	return nil
}

// vlansIn are the VLAN interfaces of one namespace that stand on lower.
func vlansIn(ctx context.Context, h Host, t ns.Target, lower *rtnl.Link) (ns.Identity, []*rtnl.Link, error) {
	g, err := t.Open(ctx)
	if err != nil {
		return ns.Identity{}, nil, err
	}
	defer func() { _ = g.Close() }()
	if g.Inode() == h.Inode() {
		return g.Identity, nil, nil
	}
	conn, err := g.Conn(ctx)
	if err != nil {
		return g.Identity, nil, err
	}
	defer func() { _ = conn.Close() }()
	all, err := rtnl.LinksOfKind(ctx, conn, "vlan")
	if err != nil || len(all) == 0 {
		return g.Identity, nil, err
	}
	id, err := rtnl.NSID(ctx, conn, h.Handle)
	var found []*rtnl.Link
	for _, l := range all {
		if l.Foreign && id >= 0 && l.NSID == id && l.Parent == lower.Index {
			found = append(found, l)
		}
	}
	return g.Identity, found, err
}

// carriesVLANs says whether a VLAN interface in another namespace stands on l.
func carriesVLANs(ctx context.Context, h Host, l *rtnl.Link) (bool, error) {
	found := false
	err := eachVLAN(ctx, h, l, func(ns.Identity, *rtnl.Link) bool {
		found = true
		return false
	})
	return found, err
}

// heldElsewhere is the error of a VLAN that exists already, and not on the host. What it
// says of who has it the guest may have written.
func heldElsewhere(ctx context.Context, h Host, a parent, lower *rtnl.Link) error {
	where := "in another network namespace"
	err := eachVLAN(ctx, h, lower, func(guest ns.Identity, l *rtnl.Link) bool {
		if !hasTag(l, a.vlan) {
			return true
		}
		who := guest.Name
		mark, ours := ParseMark(l.Alias)
		if ours && mark.Guest.Name != "" {
			who = mark.Guest.Name
		}
		name := strings.Trim(strconv.Quote(l.Name), `"`)
		if where = name + " in " + who; ours {
			where += ": detach that first"
		}
		return false
	})
	if err != nil {
		return err
	}
	return errs.New(fs.ErrInvalid, "VLAN %d of %s exists already, %s", a.vlan, a.name, where)
}
