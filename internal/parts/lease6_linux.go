package parts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

const (
	// leaseRounds is how often another lease is asked for when an address of the last
	// one was in use.
	leaseRounds = 3
	// leaseTime bounds how long others than the first are waited for, from the beginning.
	leaseTime = 30 * time.Second
)

// take6 gets a DHCPv6 lease for a new interface.
func (p Leases) take6(ctx context.Context, s *Site) error {
	if err := announce.WaitForwarding(ctx, s.Port); err != nil {
		return err
	}
	s.Log(ctx, "dhcp6")
	got, err := p.newLease6(ctx, s)
	if err != nil {
		return err
	}
	for _, a := range got.Addrs {
		s.Addrs = append(s.Addrs, host6(a.Addr))
	}
	return nil
}

func host6(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 128) }

// newLease6 gets a lease and gives it to the interface. An address that somebody
// else uses is declined, and another asked for. The error tells each of them.
func (p Leases) newLease6(ctx context.Context, s *Site) (*dhcp.Lease, error) {
	var taken error
	begun := time.Now()
	for range leaseRounds {
		got, err := p.ask6(ctx, s, begun, taken)
		if err != nil {
			return nil, then(taken, err)
		}
		held := got
		s.Undo.Push("lease of "+got.Addr.Addr().String(), func(ctx context.Context) error {
			if held == nil {
				return nil
			}
			return sent(p.client(s, dhcp.IPv6).Release(ctx, held))
		})
		if err = p.Pin.grant(ctx, s, s.Undo, dhcp.IPv6, got); err == nil {
			err = p.applyLease6(ctx, s, nil, got)
		}
		if err == nil {
			return got, nil
		}
		if taken = then(taken, err); !errors.Is(err, errDuplicate) {
			break
		}
		held = nil
	}
	return nil, taken
}

// ask6 asks for a lease, after others whose addresses were in use not for longer than leaseTime
// since the first began.
func (p Leases) ask6(ctx context.Context, s *Site, begun time.Time, taken error) (*dhcp.Lease, error) {
	if taken != nil {
		late := errs.New(os.ErrDeadlineExceeded, "no other lease within %v", leaseTime)
		bounded, cancel := context.WithDeadlineCause(ctx, begun.Add(leaseTime), late)
		defer cancel()
		ctx = bounded
	}
	return p.client(s, dhcp.IPv6).Acquire(ctx, nil)
}

// then is an error, with what had failed before.
func then(before, err error) error {
	if before == nil {
		return err
	}
	return fmt.Errorf("%w; then %w", before, err)
}

// sent forgives a server that could not be told.
func sent(err error) error {
	if err != nil && unreachable(err) {
		return nil
	}
	return err
}

// refresh6 takes up the DHCPv6 lease of an interface that is there, as refresh4 does.
func (p Leases) refresh6(ctx context.Context, s *Site) error {
	if err := announce.WaitForwarding(ctx, s.Port); err != nil {
		return err
	}
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return err
	}
	last := readLease6(s.Port.Mark, addrs)
	there := last != nil && hasAddr(addrs, last.Addr)
	c := p.client(s, dhcp.IPv6)
	got, err := c.Acquire(ctx, last)
	if errors.Is(err, os.ErrDeadlineExceeded) && there {
		s.Port.Warn("the lease of %s was not extended: %v", last.Addr.Addr(), err)
		return nil
	}
	if err != nil {
		return err
	}
	if !there {
		s.Undo.Push("lease of "+got.Addr.Addr().String(), func(ctx context.Context) error {
			err := sent(c.Release(ctx, got))
			for _, a := range got.Addrs {
				err = errs.Join(err, rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, host6(a.Addr)))
			}
			return err
		})
		last = left6(last, addrs)
	}
	if err := p.Pin.grant(ctx, s, s.Undo, dhcp.IPv6, got); err != nil {
		return err
	}
	return p.applyLease6(ctx, s, last, got)
}

// left6 is what the interface has yet of a lease whose first address is gone.
func left6(l *dhcp.Lease, have []rtnl.Addr) *dhcp.Lease {
	if l == nil {
		return nil
	}
	gone := func(a dhcp.Leased) bool { return !hasAddr(have, host6(a.Addr)) }
	return &dhcp.Lease{Addrs: slices.DeleteFunc(slices.Clone(l.Addrs), gone)}
}

// applyLease6 gives the interface the addresses of next, where it had those of
// last; a nil lease is none. The new come before the old go.
func (p Leases) applyLease6(ctx context.Context, s *Site, last, next *dhcp.Lease) error {
	s.Lease6 = next
	if next != nil {
		if err := p.putAddrs6(ctx, s, last, next); err != nil {
			return err
		}
	}
	if last != nil {
		for _, a := range last.Addrs {
			if next.Has(a.Addr) {
				continue
			}
			if err := p.dropLeased(ctx, s, host6(a.Addr)); err != nil {
				return err
			}
		}
	}
	if err := p.leaseDNS(ctx, s, last, next); err != nil {
		return err
	}
	mark := s.Port.Mark
	mark.Lease6 = lease6Text(mark, next, p.client(s, dhcp.IPv6))
	return s.Remark(ctx, mark)
}

// giveBack6 releases the interface's DHCPv6 lease, as giveBack does.
func (p Leases) giveBack6(ctx context.Context, s *Site, addrs []rtnl.Addr) error {
	lease := readLease6(s.Port.Mark, addrs)
	if lease == nil || !slices.ContainsFunc(lease.Addrs, func(a dhcp.Leased) bool { return hasAddr(addrs, host6(a.Addr)) }) {
		return nil
	}
	s.Log(ctx, "release", "address", lease.Addr.Addr())
	c := p.client(s, dhcp.IPv6)
	err := c.Release(ctx, lease)
	if err != nil && (ctx.Err() != nil || !unreachable(err) && !errors.Is(err, dhcp.ErrNAK) && !errors.Is(err, dhcp.ErrNoAddrs)) {
		return err
	}
	if err != nil {
		s.Log(ctx, "release", "error", err)
		return nil
	}
	s.Undo.Push("release of "+lease.Addr.Addr().String(), func(ctx context.Context) error {
		got, err := c.Acquire(ctx, lease)
		if err == nil && !got.Has(lease.Addr.Addr()) {
			err = fmt.Errorf("the server has given %s away", lease.Addr.Addr())
		}
		return err
	})
	return nil
}

// drop6 gives the DHCPv6 lease back that is not asked for any more, and removes its
// addresses and name servers.
func (p Leases) drop6(ctx context.Context, s *Site, addrs []rtnl.Addr) error {
	if err := p.giveBack6(ctx, s, addrs); err != nil {
		return err
	}
	last := readLease6(s.Port.Mark, addrs)
	for _, a := range last.Addrs {
		if err := p.dropLeased(ctx, s, host6(a.Addr)); err != nil {
			return err
		}
	}
	if err := p.leaseDNS(ctx, s, last, nil); err != nil {
		return err
	}
	s.Lease6 = nil
	mark := s.Port.Mark
	mark.Lease6 = ""
	return s.Remark(ctx, mark)
}
