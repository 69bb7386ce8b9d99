package link

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// nics puts right every interface that the kernel returned to the host.
func (c *collection) nics(ctx context.Context) error {
	back, err := returned(ctx, c.Host)
	if len(back) > 0 {
		unlock := hold(ctx, c.Lock)
		back, err = returned(ctx, c.Host)
		for index, r := range back {
			what := Collected{Done: "brought home", Kind: "NIC", Name: r.Was.Name, Why: "its guest has ended"}
			err = errs.Join(err, c.take(what, func() error { return r.restoreAt(ctx, c.Host, index, c.Host.warn) }))
		}
		unlock()
	}
	return err
}

// returned are the interfaces on the host, by index, that were in a guest.
func returned(ctx context.Context, h Host) (map[int]*nic, error) {
	recorded, err := recordedNICs(nil, func(r *nic) bool { return r.Guest != h.Inode().Ino })
	if err != nil {
		return nil, err
	}
	return locate(ctx, h.Handle, recorded)
}

// Unrecorded is a line for each link on the host that bears the mark of a NIC, and of
// which there is no record: an earlier version left it so, or whoever had it in a guest
// wrote the mark. It changes nothing.
func Unrecorded(ctx context.Context, h Host) (lines []string, err error) {
	links, err := unrecorded(ctx, h)
	if len(links) == 0 || err != nil {
		return nil, err
	}
	defer hold(ctx, h.Lock)() // one that was just coming home is there by now
	links, err = unrecorded(ctx, h)
	for _, l := range links {
		m, _ := ParseMark(l.Alias)
		lines = append(lines, fmt.Sprintf("%s bears the mark %s, of which this host has no record: leaving it alone (detach --force of the guest that it was in makes it that, ip link set dev %s alias '' makes this go away)", charset.Shown(l.Name), m.Link, charset.Shown(l.Name)))
	}
	return lines, err
}

func unrecorded(ctx context.Context, h Host) ([]*rtnl.Link, error) {
	links, err := rtnl.Links(ctx, h.Conn)
	if err != nil {
		return nil, err
	}
	links = slices.DeleteFunc(links, func(l *rtnl.Link) bool {
		m, ok := ParseMark(l.Alias)
		return !ok || !m.IsNIC()
	})
	if len(links) == 0 {
		return nil, nil
	}
	recorded, err := recordedNICs(nil, anyNIC)
	if err != nil {
		return nil, err
	}
	known, err := locate(ctx, h.Handle, recorded)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(links, func(l *rtnl.Link) bool { return known[l.Index] != nil }), nil
}
