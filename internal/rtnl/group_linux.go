package rtnl

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/ns"
)

// DelLinks removes links in one message, for which the kernel waits as long as for
// one: it puts them into the link group (ip link set group), which nobody must use,
// and removes the group. Those that are gone already are no error. After an error
// all that are left are in the group that they were in.
func DelLinks(ctx context.Context, c *ns.Conn, links []*Link, group uint32) (err error) {
	mine := make(map[int]bool, len(links))
	var moved []*Link
	defer func() {
		for i := 0; err != nil && i < len(moved); i++ {
			_ = SetGroup(fault.Off(ctx), c, moved[i].Index, moved[i].Group)
		}
	}()
	for _, l := range links {
		switch err := SetGroup(ctx, c, l.Index, group); {
		case err == nil:
			mine[l.Index] = true
			moved = append(moved, l)
		case !errors.Is(err, unix.ENODEV):
			return fmt.Errorf("set group of %s: %w", l.Name, err)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	if err := onlyIn(ctx, c, group, mine); err != nil {
		return err
	}
	req := LinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, &nl.IfInfomsg{})
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	if _, err := c.Do(ctx, req, 0); err != nil {
		return fmt.Errorf("remove %d interfaces: %w", len(moved), err)
	}
	return nil
}

// onlyIn makes sure that no other link is in the group.
func onlyIn(ctx context.Context, c *ns.Conn, group uint32, mine map[int]bool) error {
	all, err := Links(ctx, c)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.Group == group && !mine[l.Index] {
			return fmt.Errorf("remove interfaces: group %d has %s in it: %w", group, l.Name, unix.EBUSY)
		}
	}
	return nil
}

// SetGroup puts the link into a group.
func SetGroup(ctx context.Context, c *ns.Conn, index int, group uint32) error {
	return setLinkAttr(ctx, c, index, unix.IFLA_GROUP, nl.Uint32Attr(group))
}
