package parts

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/link"
)

// Addresses are the static addresses.
type Addresses []netip.Prefix

var _ Part = Addresses{}

// Apply adds them; see [Part].
func (a Addresses) Apply(ctx context.Context, s *Site) error {
	s.Log(ctx, "address", "index", s.Link.Index)
	for _, p := range a {
		if err := s.addAddr(ctx, p); err != nil {
			return err
		}
	}
	s.Addrs = append(s.Addrs, a...)
	return nil
}

// Asks is the addresses; see [Part].
func (a Addresses) Asks(context.Context, *Site) (lines []string, _ error) {
	for _, p := range a {
		lines = append(lines, "address "+p.String())
	}
	return lines, nil
}

// Remove has nothing to do: they go with the interface.
func (Addresses) Remove(context.Context, *Site) error { return nil }

// Compare finds those that are gone, and those that nobody asked for; see [Part].
func (a Addresses) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	have, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return d, err
	}
	for _, p := range a {
		if !hasAddr(have, p) {
			d.Missing = append(d.Missing, link.Drift{What: "address " + p.String() + " is gone", Mend: func(ctx context.Context, u *link.Undo) error {
				return s.mendAddr(ctx, p, have)
			}})
		}
	}
	var others []rtnl.Addr
	for _, h := range have {
		switch {
		case !h.Duplicate():
		case slices.Contains(a, h.Prefix):
			d.Missing = append(d.Missing, a.duplicate(s, h, have))
		case !h.ByKernel():
			others = append(others, h)
		}
	}
	for _, h := range limited(s.Port, others, told.Most, "addresses that another node has") {
		d.Missing = append(d.Missing, a.duplicate(s, h, have))
	}
	if s.Exact {
		d.Surplus = a.surplus(s, have)
	}
	return d, nil
}

// duplicate tells of an IPv6 address that another node has: the kernel does not use it. To
// mend has the kernel look again.
func (a Addresses) duplicate(s *Site, h rtnl.Addr, have []rtnl.Addr) link.Drift {
	d := link.Drift{What: "address " + h.Prefix.String() + " is not in use, because another node has it (duplicate address detection failed)"}
	if slices.Contains(a, h.Prefix) {
		d.Mend = func(ctx context.Context, u *link.Undo) error { return s.mendAddr(ctx, h.Prefix, have) }
	}
	return d
}

func hasAddr(addrs []rtnl.Addr, p netip.Prefix) bool {
	return slices.ContainsFunc(addrs, func(a rtnl.Addr) bool { return a.Prefix == p })
}

// mendAddr adds an address to an interface that has these. Of IPv6 the kernel does not
// take one with two prefix lengths.
func (s *Site) mendAddr(ctx context.Context, p netip.Prefix, have []rtnl.Addr) error {
	for _, h := range have {
		if p.Addr().Is6() && h.Prefix.Addr() == p.Addr() {
			if err := s.dropAddr(ctx, h, nil); err != nil {
				return err
			}
		}
	}
	s.Undo.Push("address "+p.String(), func(ctx context.Context) error { return rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, p) })
	return s.addAddr(ctx, p)
}

// surplus are the addresses that are not asked for, neither leased nor made by the
// kernel.
func (a Addresses) surplus(s *Site, have []rtnl.Addr) (list []link.Drift) {
	leased := leasedAddrs(s.Port.Mark, have)
	for _, h := range have {
		own := h.Flags&unix.IFA_F_PERMANENT != 0 && !h.Prefix.Addr().IsLinkLocalUnicast()
		if !own || slices.Contains(a, h.Prefix) || slices.Contains(leased, h.Prefix) {
			continue
		}
		list = append(list, link.Drift{What: "it has the address " + h.Prefix.String(), Mend: func(ctx context.Context, _ *link.Undo) error {
			now, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
			if err != nil {
				return err
			}
			return s.dropAddr(ctx, h, now)
		}})
	}
	return list
}

// leasedAddrs are the addresses that the mark calls leased.
func leasedAddrs(m link.Mark, have []rtnl.Addr) (list []netip.Prefix) {
	for _, l := range []*dhcp.Lease{readLease(m, have), readLease6(m, have)} {
		if l == nil {
			continue
		}
		list = append(list, l.Addr)
		for _, a := range l.Addrs {
			list = append(list, host6(a.Addr))
		}
	}
	return list
}

// dropAddr removes an address from those that the interface has now. With the first
// IPv4 address of a subnet the kernel removes the others of the subnet, too, unless it
// is to make the next one the first (promote_secondaries).
func (s *Site) dropAddr(ctx context.Context, a rtnl.Addr, have []rtnl.Addr) error {
	var others []rtnl.Addr
	if a.Prefix.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY == 0 {
		others = slices.DeleteFunc(slices.Clone(have), func(o rtnl.Addr) bool {
			return o.Flags&unix.IFA_F_SECONDARY == 0 || o.Prefix.Masked() != a.Prefix.Masked()
		})
	}
	if len(others) > 0 {
		if err := s.setSysctl(ctx, "ipv4", "promote_secondaries", "1"); err != nil {
			return err
		}
	}
	s.Undo.Push("address "+a.Prefix.String(), func(ctx context.Context) error {
		if err := s.putBackAddr(ctx, a); err != nil {
			return err
		}
		for _, o := range others { // behind it again
			if err := errs.Join(rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, o.Prefix), s.putBackAddr(ctx, o)); err != nil {
				return err
			}
		}
		return nil
	})
	return rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, a.Prefix)
}

// putBackAddr adds an address that the interface had, with its lifetimes.
func (s *Site) putBackAddr(ctx context.Context, a rtnl.Addr) error {
	if a.Valid == rtnl.Forever {
		return rtnl.AddAddr(ctx, s.Port.Conn, s.Link.Index, a.Prefix)
	}
	return rtnl.PutAddr(ctx, s.Port.Conn, a)
}

// addAddr gives the interface one address. Docker switches IPv6 off in every
// container that it gave no IPv6 address; asking for one switches it on, on
// this interface alone.
func (s *Site) addAddr(ctx context.Context, p netip.Prefix) error {
	err := rtnl.AddAddr(ctx, s.Port.Conn, s.Link.Index, p)
	if p.Addr().Is6() && errors.Is(err, unix.EACCES) {
		if err := s.setSysctl(ctx, "ipv6", "disable_ipv6", "0"); err != nil {
			return err
		}
		err = rtnl.AddAddr(ctx, s.Port.Conn, s.Link.Index, p)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return errs.New(errors.ErrUnsupported, "add address %s: this kernel has no IPv6: CONFIG_IPV6, or booted with ipv6.disable=1", p)
	}
	return err
}
