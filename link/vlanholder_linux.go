package link

import (
	"context"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// eachVLAN calls f for every VLAN interface in another namespace that stands on lower,
// until f returns false; see [eachUpper].
func eachVLAN(ctx context.Context, h Host, lower *rtnl.Link, f func(ns.Identity, *rtnl.Link) bool) error {
	return eachUpper(ctx, h, lower, []string{"vlan"}, func(u uppers) (bool, error) {
		return !slices.ContainsFunc(u.links, func(l *rtnl.Link) bool { return !f(u.guest.Identity, l) }), nil
	})
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

// heldElsewhere is the error of a VLAN that exists already, and not on the host.
func heldElsewhere(ctx context.Context, h Host, a parent, lower *rtnl.Link) error {
	err := foundElsewhere(ctx, h, a, lower)
	if err == nil {
		err = heldIn(a, "in another network namespace")
	}
	return err
}

func heldIn(a parent, where string) error {
	return errs.New(fs.ErrInvalid, "VLAN %d of %s exists already, %s", a.vlan, a.name, where)
}

// foundElsewhere is heldElsewhere where the VLAN is found, and else nil. What the error says of
// who has it the guest may have written.
func foundElsewhere(ctx context.Context, h Host, a parent, lower *rtnl.Link) error {
	where := ""
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
	if err != nil || where == "" {
		return err
	}
	return heldIn(a, where)
}
