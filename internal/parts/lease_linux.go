package parts

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Leases are what DHCP servers grant, at most one lease of each family.
type Leases struct {
	Config *dhcp.Config // nil: none
	// Gateways are the Spec's own, which come before the lease's.
	Gateways Gateways
	// Routes are the Spec's own, which come before the lease's.
	Routes []link.Route
	// FixedMTU says that the Spec has an MTU, which comes before the lease's.
	FixedMTU bool
	// Pin lets their addresses leave the guest.
	Pin Pin
	// IPv6 says that the interface needs an MTU of 1280 bytes.
	IPv6 bool
}

var (
	_ Part      = Leases{}
	_ Refresher = Leases{}
)

func (p Leases) asks(f dhcp.Family) bool { return p.Config != nil && p.Config.Family.Wants(f) }

// ownGateway says whether a lease's gateway does not count: the Spec has one of IPv4, or wants none.
func (p Leases) ownGateway() bool {
	return p.Config != nil && p.Config.NoGateway || slices.ContainsFunc(p.Gateways.Via, netip.Addr.Is4)
}

// Apply gets the leases for a new interface; see [Part].
func (p Leases) Apply(ctx context.Context, s *Site) error {
	if p.asks(dhcp.IPv4) {
		if err := p.take4(ctx, s); err != nil {
			return err
		}
	}
	if p.asks(dhcp.IPv6) {
		return p.take6(ctx, s)
	}
	return nil
}

// Refresh takes up the leases again, and gets those that the interface has not; see
// [Refresher].
func (p Leases) Refresh(ctx context.Context, s *Site) error {
	if p.asks(dhcp.IPv4) {
		if err := p.refresh4(ctx, s); err != nil {
			return err
		}
	}
	if p.asks(dhcp.IPv6) {
		return p.refresh6(ctx, s)
	}
	return nil
}

// Change makes the interface what the lease next says, of this family, where it was what
// last said; nil is none.
func (p Leases) Change(ctx context.Context, s *Site, f dhcp.Family, last, next *dhcp.Lease) error {
	if err := p.Pin.grant(ctx, s, s.Undo, f, next); err != nil {
		return err
	}
	if f == dhcp.IPv6 {
		return p.applyLease6(ctx, s, last, next)
	}
	_, err := p.applyLease(ctx, s, last, next)
	return err
}

// Compare tells of leased addresses that are gone, which Refresh mends, and of leases that
// are not asked for; see [Part].
func (p Leases) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	if s.Port.Mark.Lease == "" && s.Port.Mark.Lease6 == "" {
		return d, nil
	}
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return d, err
	}
	for _, f := range [...]dhcp.Family{dhcp.IPv4, dhcp.IPv6} {
		lease := readLease(s.Port.Mark, addrs)
		if f == dhcp.IPv6 {
			lease = readLease6(s.Port.Mark, addrs)
		}
		switch {
		case lease == nil:
		case s.Exact && !p.asks(f):
			d.Surplus = append(d.Surplus, link.Drift{What: "it has the lease of " + lease.Addr.String(), Mend: func(ctx context.Context, _ *link.Undo) error {
				return p.drop(ctx, s, f)
			}})
		case !hasAddr(addrs, lease.Addr):
			d.Missing = append(d.Missing, gone("leased address "+lease.Addr.String())...)
		}
	}
	return d, nil
}

// Asks is that a server is asked; see [Part].
func (p Leases) Asks(context.Context, *Site) ([]string, error) {
	if p.Config == nil {
		return nil, nil
	}
	return []string{p.Config.Family.String() + " addresses that a DHCP server leases"}, nil
}

// Remove gives the leases back, before anything else changes: a server may be behind a
// router. One that cannot be reached does not keep the interface. See [Part].
func (p Leases) Remove(ctx context.Context, s *Site) error {
	if s.Link == nil {
		return nil
	}
	if err := p.leaseDNS(ctx, s, nil, nil); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return err
	}
	if err := p.giveBack4(ctx, s, addrs); err != nil {
		return err
	}
	return p.giveBack6(ctx, s, addrs)
}

// drop gives a lease back that is not asked for any more, and takes away what came with
// it.
func (p Leases) drop(ctx context.Context, s *Site, f dhcp.Family) error {
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return err
	}
	if f == dhcp.IPv6 {
		return p.drop6(ctx, s, addrs)
	}
	return p.drop4(ctx, s, addrs)
}

// client asks for the interface, for one lease.
func (p Leases) client(s *Site, f dhcp.Family) *dhcp.Client {
	c := &dhcp.Client{Guest: s.Port.Guest.Handle, Name: s.Link.Name, Index: s.Link.Index, MAC: s.Link.MAC}
	if p.Config != nil {
		c.Config = *p.Config
	}
	c.Family = f
	c.Hostname = Hostname(c.Config, s.Port.Guest.Name)
	return c
}

// Hostname is the one to be sent: by default the guest's name, where that is one.
func Hostname(c dhcp.Config, guest string) string {
	if c.Hostname == "" && (&dhcp.Config{Hostname: guest}).Validate() == nil {
		return guest
	}
	return c.Hostname
}

// releaseUnused gives back a lease whose address may not be on the interface:
// servers want to hear it from there.
func (p Leases) releaseUnused(ctx context.Context, s *Site, lease *dhcp.Lease) error {
	var pinned link.Undo // it may not pass any more, or not yet
	if err := p.Pin.grant(ctx, s, &pinned, dhcp.IPv4, lease); err != nil {
		return err
	}
	a := rtnl.Addr{Index: s.Link.Index, Prefix: lease.Addr, Valid: 10, Preferred: 10}
	if err := rtnl.PutAddr(ctx, s.Port.Conn, a); err != nil {
		return err
	}
	err := p.client(s, dhcp.IPv4).Release(ctx, lease)
	if err != nil && unreachable(err) {
		err = nil
	}
	return errs.Join(err, rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, lease.Addr), pinned.Run(ctx))
}

// unreachable says that a release cannot be sent now, nor by trying again soon:
// the server or the way to it is gone, or the guest holds the port. The lease
// then ends by itself.
func unreachable(err error) bool {
	_, refused := errors.AsType[unix.Errno](err)
	return refused || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission)
}
