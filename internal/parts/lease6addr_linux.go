package parts

import (
	"context"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// dadTime bounds duplicate address detection (RFC 4862, 5.4): one to two seconds.
const dadTime = 4 * time.Second

// errDuplicate is what duplicate address detection found.
var errDuplicate = errs.New(dhcp.ErrInUse, "another node on the link has it already")

// putAddrs6 gives the interface the addresses of next. Where one of them that last
// had not is somebody else's, next is given up.
func (p Leases) putAddrs6(ctx context.Context, s *Site, last, next *dhcp.Lease) error {
	var fresh []netip.Addr
	now := time.Now()
	for _, a := range next.Addrs {
		put := rtnl.Addr{Index: s.Link.Index, Prefix: host6(a.Addr), Preferred: seconds(now, a.Preferred), Valid: max(1, seconds(now, a.Valid))}
		put.Flags = unix.IFA_F_NOPREFIXROUTE // which leads to itself, and the kernel would leave it behind
		if err := s.putLeased(ctx, put, last); err != nil {
			return err
		}
		if !last.Has(a.Addr) {
			fresh = append(fresh, a.Addr)
		}
	}
	taken, err := p.duplicates(ctx, s, fresh)
	if err != nil || len(taken) == 0 {
		return err
	}
	for _, a := range fresh {
		if err := rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, host6(a)); err != nil {
			return err
		}
	}
	s.Log(ctx, "decline", "address", taken[0])
	free := slices.DeleteFunc(slices.Clone(fresh), func(a netip.Addr) bool { return slices.Contains(taken, a) })
	c := p.client(s, dhcp.IPv6)
	err = sent(c.Decline(ctx, only(next, taken)))
	if err == nil && len(free) > 0 {
		err = sent(c.Release(ctx, only(next, free)))
	}
	if err != nil {
		return err
	}
	return errs.New(fs.ErrExist, "dhcp: the server gave %s, but %w", taken[0], errDuplicate)
}

// only is the lease of some of its addresses.
func only(l *dhcp.Lease, addrs []netip.Addr) *dhcp.Lease {
	part := *l
	part.Addr, part.Addrs = host6(addrs[0]), nil
	for _, a := range addrs {
		part.Addrs = append(part.Addrs, dhcp.Leased{Addr: a})
	}
	return &part
}

// seconds is how long it is from now until end, for the kernel; zero is for ever.
func seconds(now, end time.Time) uint32 {
	if end.IsZero() {
		return rtnl.Forever
	}
	return uint32(max(0, min((end.Sub(now)+time.Second-1)/time.Second, rtnl.Forever-1)))
}

// duplicates waits until the kernel has checked the addresses, and returns those
// that somebody else has: the kernel takes those with a lifetime away at once.
func (p Leases) duplicates(ctx context.Context, s *Site, addrs []netip.Addr) (taken []netip.Addr, err error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	events, err := rtnl.Listen(ctx, s.Port.Guest.Handle)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	slow := errs.New(os.ErrDeadlineExceeded, "duplicate address detection of %s did not end within %v (is there carrier?)", addrs[0], dadTime)
	bounded, cancel := context.WithTimeoutCause(ctx, dadTime, slow)
	defer cancel()
	err = events.Until(bounded, func() (bool, error) {
		have, err := rtnl.Addrs(bounded, s.Port.Conn, s.Link.Index)
		if err != nil {
			return false, err
		}
		taken = taken[:0]
		for _, a := range addrs {
			i := slices.IndexFunc(have, func(h rtnl.Addr) bool { return h.Prefix == host6(a) })
			switch {
			case i < 0 || have[i].Duplicate():
				taken = append(taken, a)
			case !have[i].Usable():
				return false, nil
			}
		}
		return true, nil
	})
	return taken, err
}
