package parts

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// A Pin lets nothing leave the guest that is not its own. What a guest's own mark tells of
// its MAC and its leases counts for nothing here: the mark of the host's end does.
type Pin struct {
	Asked bool
	Link  link.Backend
	MAC   net.HardwareAddr // nil: as it was when the guest was pinned
	Addrs []netip.Prefix   // static
	// SLAAC says that the kernel makes addresses, of the MAC.
	SLAAC                  bool
	IPv4Leases, IPv6Leases bool // are asked for
}

var _ Part = Pin{}

// New is the Pin for an interface that is to be made with this MAC; nil where none is asked
// for.
func (p Pin) New(mac net.HardwareAddr) *link.Pin {
	by, can := p.Link.(link.Pinner)
	if !p.Asked || !can {
		return nil
	}
	out := &link.Pin{MAC: mac, SLAAC: p.SLAAC, DHCP: p.IPv4Leases}
	out.Tags, _ = by.PinnedTags()
	for _, a := range p.Addrs {
		out.Addrs = append(out.Addrs, a.Addr())
	}
	return out
}

// Apply has the kernel make the link-local address of the MAC (addr_gen_mode), before the
// interface is up: of others nothing passes. The backend has pinned the new interface
// already. See [Part].
func (p Pin) Apply(ctx context.Context, s *Site) error {
	if !p.Asked {
		return nil
	}
	if s.Port.HostName == "" {
		return errs.New(errors.ErrUnsupported, "pin: %s has no end on the host", p.Link)
	}
	return linkLocalOfMAC(ctx, s)
}

func linkLocalOfMAC(ctx context.Context, s *Site) error {
	mode, err := s.sysctl(ctx, "ipv6", "addr_gen_mode")
	if errors.Is(err, errors.ErrUnsupported) || mode == "0" || mode == "1" { // no IPv6; of the MAC; none
		return nil
	}
	if err != nil {
		return err
	}
	return s.setSysctl(ctx, "ipv6", "addr_gen_mode", "0")
}

// Asks is the pin; see [Part].
func (p Pin) Asks(context.Context, *Site) (lines []string, _ error) {
	if p.Asked {
		lines = append(lines, "pin: nothing leaves the guest but what is its own")
	}
	return lines, nil
}

// Remove has nothing to do: the filter goes with the interface.
func (Pin) Remove(context.Context, *Site) error { return nil }

// Compare compares what passes by the host's end; see [Part].
func (p Pin) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	if _, can := p.Link.(link.Pinner); !can || !p.Asked && !s.Exact || s.Port.HostName == "" {
		return d, nil
	}
	end, err := link.PinOf(ctx, p.Link, s.Port)
	if errors.Is(err, fs.ErrNotExist) { // which the backend tells
		return d, nil
	}
	if err != nil {
		return d, err
	}
	if !p.Asked {
		if end.Pinned() {
			d.Surplus = []link.Drift{{What: s.Port.HostName + " lets nothing pass but what is the guest's own (pin)", Mend: func(ctx context.Context, u *link.Undo) error {
				return end.Set(ctx, s.Port, u, nil)
			}}}
		}
		return d, nil
	}
	want := p.wanted(s, end)
	want.WarnOpen(s.Port)
	if !end.Lets(*want) {
		d.Missing = []link.Drift{{Chosen: end.Mark.Pin == "", What: s.Port.HostName + " lets other frames pass than those of the guest's own addresses (pin)", Mend: func(ctx context.Context, u *link.Undo) error {
			return end.Set(ctx, s.Port, u, want)
		}}}
	}
	if left := slices.DeleteFunc(slices.Clone(want.Leased), p.mayLease); s.Exact && len(left) > 0 {
		d.Surplus = []link.Drift{{What: s.Port.HostName + " lets leased addresses pass", Mend: func(ctx context.Context, u *link.Undo) error {
			return p.lease(ctx, s, u, func(a netip.Addr) bool { return !p.mayLease(a) }, nil)
		}}}
	}
	return d, nil
}

// mayLease says whether an address could be a lease's that is asked for.
func (p Pin) mayLease(a netip.Addr) bool { return a.Is4() && p.IPv4Leases || a.Is6() && p.IPv6Leases }

// wanted is what the end is to let pass: of the MAC and of leases, what its mark tells. Of one
// that is not pinned yet, the MAC that it has.
func (p Pin) wanted(s *Site, end *link.PinnedEnd) *link.Pin {
	want, known := p.New(s.Port.MAC).Noted(end.Mark)
	if p.MAC != nil {
		want.MAC = p.MAC
	} else if !known && s.Link != nil {
		want.MAC = s.Link.MAC
	}
	return &want
}

// On says whether the interface is pinned, or to be.
func (p Pin) On(ctx context.Context, s *Site) (bool, error) {
	if p.Asked || s.Port.HostName == "" {
		return p.Asked, nil
	}
	end, err := link.PinOf(ctx, p.Link, s.Port)
	if errors.Is(err, fs.ErrNotExist) { // which the backend tells
		return false, nil
	}
	return err == nil && end.Pinned(), err
}

// grant lets the addresses of a lease pass, in the place of those of the family's last one;
// a nil lease is none. The reverse is pushed on u.
func (p Pin) grant(ctx context.Context, s *Site, u *link.Undo, f dhcp.Family, next *dhcp.Lease) error {
	if !p.Asked {
		return nil
	}
	var addrs []netip.Addr
	if next != nil && f == dhcp.IPv4 {
		addrs = []netip.Addr{next.Addr.Addr()}
	} else if next != nil {
		for _, a := range next.Addrs {
			addrs = append(addrs, a.Addr)
		}
	}
	return p.lease(ctx, s, u, func(a netip.Addr) bool { return a.Is4() == (f == dhcp.IPv4) }, addrs)
}

// lease lets leased addresses pass in the place of some.
func (p Pin) lease(ctx context.Context, s *Site, u *link.Undo, some func(netip.Addr) bool, addrs []netip.Addr) error {
	if s.Port.HostName == "" {
		if _, known := link.HostMark(ctx, s.Port); !known {
			return nil // Check tells
		}
	}
	end, err := link.PinOf(ctx, p.Link, s.Port)
	if err != nil {
		return err
	}
	want := p.wanted(s, end)
	want.Leased = append(slices.DeleteFunc(want.Leased, some), addrs...)
	if len(want.Leased) > link.MaxLeased {
		s.Port.Warn("of %d leased addresses only %d pass: the guest is pinned", len(want.Leased), link.MaxLeased)
		want.Leased = want.Leased[:link.MaxLeased]
	}
	if end.Lets(*want) {
		return nil
	}
	return end.Set(ctx, s.Port, u, want)
}
