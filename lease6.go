//go:build linux

package pipework

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// leaseRounds is how often another lease is asked for when an address of the last
// one was in use.
const leaseRounds = 3

// dynamic6 gets a new interface what it has of IPv6 from others: a lease, and what
// routers advertise.
func (j *job) dynamic6(ctx context.Context, l *rtnl.Link, out *Attachment) error {
	if !j.spec.advertised() {
		return nil
	}
	if err := link.WaitForwarding(ctx, &j.port); err != nil {
		return j.fail("dhcp", err)
	}
	if j.spec.asks(dhcp.IPv6) {
		j.log(ctx, "dhcp6")
		got, err := j.newLease6(ctx, l)
		if err != nil {
			return j.fail("dhcp", err)
		}
		out.Lease6 = got
		for _, a := range got.Addrs {
			out.Addrs = append(out.Addrs, host6(a.Addr))
		}
	}
	addrs, gateways, err := j.awaitRouters(ctx, l)
	if err != nil {
		return j.fail("address", err)
	}
	out.Addrs, out.Gateways = append(out.Addrs, addrs...), append(out.Gateways, gateways...)
	return nil
}

func host6(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 128) }

// newLease6 gets a lease and gives it to the interface. An address that somebody
// else uses is declined, and another asked for.
func (j *job) newLease6(ctx context.Context, l *rtnl.Link) (got *dhcp.Lease, err error) {
	c := j.client(l, dhcp.IPv6)
	for range leaseRounds {
		if got, err = c.Acquire(ctx, nil); err != nil {
			return nil, err
		}
		held := got
		j.undo.Push("lease of "+got.Addr.Addr().String(), func(ctx context.Context) error {
			if held == nil {
				return nil
			}
			return sent(c.Release(ctx, held))
		})
		if err = j.applyLease6(ctx, l, nil, got); !errors.Is(err, errDuplicate) {
			return got, err
		}
		held = nil
	}
	return nil, err
}

// sent forgives a server that could not be told.
func sent(err error) error {
	if err != nil && unreachable(err) {
		return nil
	}
	return err
}

// refresh6 takes up what an interface that exists already has of IPv6 from others,
// and puts it right, as refreshLease does.
func (j *job) refresh6(ctx context.Context, l *rtnl.Link) error {
	if !j.spec.advertised() {
		return nil
	}
	if err := j.acceptRA(ctx, l.Name); err != nil {
		return j.fail("address", err)
	}
	if err := link.WaitForwarding(ctx, &j.port); err != nil {
		return j.fail("dhcp", err)
	}
	if j.spec.asks(dhcp.IPv6) {
		if err := j.refreshLease6(ctx, l); err != nil {
			return j.fail("dhcp", err)
		}
	}
	if _, _, err := j.awaitRouters(ctx, l); err != nil {
		return j.fail("address", err)
	}
	return nil
}

func (j *job) refreshLease6(ctx context.Context, l *rtnl.Link) error {
	addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return err
	}
	last := j.readLease6(addrs)
	there := last != nil && hasAddr(addrs, last.Addr)
	c := j.client(l, dhcp.IPv6)
	got, err := c.Acquire(ctx, last)
	if errors.Is(err, os.ErrDeadlineExceeded) && there {
		j.port.Warn("the lease of %s was not extended: %v", last.Addr.Addr(), err)
		return nil
	}
	if err != nil {
		return err
	}
	if !there {
		j.undo.Push("lease of "+got.Addr.Addr().String(), func(ctx context.Context) error { return sent(c.Release(ctx, got)) })
		last = nil
	}
	return j.applyLease6(ctx, l, last, got)
}

// applyLease6 gives the interface the addresses of next, where it had those of
// last; a nil lease is none. The new come before the old go.
func (j *job) applyLease6(ctx context.Context, l *rtnl.Link, last, next *dhcp.Lease) error {
	j.lease6 = next
	if next != nil {
		if err := j.putAddrs6(ctx, l, last, next); err != nil {
			return err
		}
	}
	if last != nil {
		for _, a := range last.Addrs {
			if next.Has(a.Addr) {
				continue
			}
			if err := rtnl.DelAddr(ctx, j.port.Conn, l.Index, host6(a.Addr)); err != nil {
				return err
			}
		}
	}
	if err := j.leaseDNS(ctx, last, next); err != nil {
		return err
	}
	mark := j.port.Mark
	mark.Lease6 = lease6Text(mark, next, j.client(l, dhcp.IPv6))
	return j.remark(ctx, l, mark)
}

// giveBack6 releases the interface's DHCPv6 lease, as giveBack does.
func (j *job) giveBack6(ctx context.Context, l *rtnl.Link, addrs []rtnl.Addr) error {
	lease := j.readLease6(addrs)
	if lease == nil || !slices.ContainsFunc(lease.Addrs, func(a dhcp.Leased) bool { return hasAddr(addrs, host6(a.Addr)) }) {
		return nil
	}
	j.log(ctx, "release", "address", lease.Addr.Addr())
	c := j.client(l, dhcp.IPv6)
	err := c.Release(ctx, lease)
	if err != nil && (ctx.Err() != nil || !unreachable(err) && !errors.Is(err, dhcp.ErrNAK) && !errors.Is(err, dhcp.ErrNoAddrs)) {
		return err
	}
	if err != nil {
		j.log(ctx, "release", "error", err)
		return nil
	}
	j.undo.Push("release of "+lease.Addr.Addr().String(), func(ctx context.Context) error {
		got, err := c.Acquire(ctx, lease)
		if err == nil && !got.Has(lease.Addr.Addr()) {
			err = fmt.Errorf("the server has given %s away", lease.Addr.Addr())
		}
		return err
	})
	return nil
}
