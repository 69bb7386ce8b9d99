package link

import (
	"context"
	"slices"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link/firewall"
	"github.com/go-pipework/pipework/ns"
)

// A guest with CAP_NET_ADMIN can have frames pass its pin's classifier by. This file has
// nftables drop them. What is kept for that goes with the host's end (a second classifier, the
// group of links) but for one table, which is there as long as an end is in the group.

// pinPorts is the table.
func pinPorts(h Host) firewall.Ports {
	return firewall.Ports{Do: enter(h), Group: rtnl.Pinned, Bit: rtnl.PassedBit}
}

// holdPort has frames that the host's end receives tell that they passed its pin, and what
// does not is dropped once the end is in the group rtnl.Pinned. The caller holds the host's
// lock, shared, until it is. Where the kernel lacks what that needs, nothing is changed and the
// error satisfies errors.ErrUnsupported.
func holdPort(ctx context.Context, h Host, index int) error {
	if err := rtnl.SetPassed(ctx, h.Conn, index); err != nil {
		return err
	}
	err := pinPorts(h).Hold(ctx)
	if err != nil { // without the table nobody takes the bit off
		_ = rtnl.DelPassed(ctx, h.Conn, index)
	}
	return err
}

// held says whether nothing passes by the host's end but what its pin lets pass.
func held(ctx context.Context, h Host, end *rtnl.Link) (bool, error) {
	if end.Group != rtnl.Pinned {
		return false, nil
	}
	if passed, err := rtnl.Passed(ctx, h.Conn, end.Index); !passed || err != nil {
		return false, err
	}
	return pinPorts(h).Held(ctx)
}

// ungrouped is the group of the host's end once it is not pinned.
func ungrouped(end *rtnl.Link) uint32 {
	if isPinned(end) {
		return 0
	}
	return end.Group
}

// regroup puts the host's end into the group, where it is in another one.
func regroup(ctx context.Context, c *ns.Conn, end *rtnl.Link, group uint32) error {
	if end.Group == group {
		return nil
	}
	return rtnl.SetGroup(ctx, c, end.Index, group)
}

// unpin lets everything pass by the host's end of this index, which gets into the group.
func unpin(ctx context.Context, h Host, index int, group uint32) error {
	if err := rtnl.SetGroup(ctx, h.Conn, index, group); err != nil {
		return err
	}
	if err := rtnl.DelFilter(ctx, h.Conn, index); err != nil {
		return err
	}
	return releasePorts(ctx, h)
}

// releasePorts removes the table where no end of the host's is in the group any more.
func releasePorts(ctx context.Context, h Host) error {
	return portsUnused(ctx, h, func() error { return pinPorts(h).Release(ctx) })
}

// portsUnused calls f where the table is there and no end of the host's is in the group, and
// keeps others from beginning to use it.
func portsUnused(ctx context.Context, h Host, f func() error) error {
	if there, err := pinPorts(h).There(ctx); !there || err != nil {
		return err
	}
	defer hold(ctx, h.Lock)()
	all, err := rtnl.Links(ctx, h.Conn)
	if err != nil || slices.ContainsFunc(all, isPinned) {
		return err
	}
	return f()
}

func isPinned(l *rtnl.Link) bool { return l.Group == rtnl.Pinned }
