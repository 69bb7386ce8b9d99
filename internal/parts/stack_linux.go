package parts

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Interfaces with gateways are a stack: the one that was attached last has the default
// route, and keeps that of the one beneath it in its table of saved routes. The lowest one
// keeps what the guest had of its own.

// A stack is the default routes of a guest, as one of its interfaces has and displaces them.
type stack struct{ *Site }

func (s *Site) stack() stack { return stack{s} }

// madeByUs says whether the route is a gateway's or a lease's.
func madeByUs(r rtnl.Route) bool {
	return r.Protocol() == rtnl.Protocol || r.Protocol() == unix.RTPROT_DHCP
}

// top is the other interface with a mark that has the default route among these; nil: none.
// A DHCP client of the guest's own makes routes as leases do.
func (s stack) top(ctx context.Context, now []rtnl.Route) (*rtnl.Link, error) {
	for _, r := range now {
		if r.Table != unix.RT_TABLE_MAIN || r.Index == s.index() || r.Index == 0 || !madeByUs(r) {
			continue
		}
		l, err := rtnl.LinkByIndex(ctx, s.Port.Conn, r.Index)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			if _, ours := link.ParseMark(l.Alias); ours {
				return l, nil
			}
		}
	}
	return nil, nil
}

// isSaved says whether the route is in the table of an interface other than this one.
func (s stack) isSaved(r rtnl.Route) bool {
	return isKept(r) && r.Table != savedTable(s.index())
}

// above is the interface that has the default route now, where the one via gw waits beneath
// that, or beneath others that are; nil: it does not.
func (s stack) above(ctx context.Context, gw netip.Addr) (*rtnl.Link, error) {
	all, err := rtnl.Defaults(ctx, s.Port.Conn, rtnl.Family(gw), 0)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(r rtnl.Route) bool {
		return s.isSaved(r) && r.Index == s.index() && r.Gateway == gw && s.stays(r)
	})
	for range all { // no further than there are routes
		if i < 0 {
			return nil, nil
		}
		above := int(all[i].Table &^ savedBit)
		if slices.ContainsFunc(all, func(r rtnl.Route) bool {
			return r.Table == unix.RT_TABLE_MAIN && r.Index == above && madeByUs(r)
		}) {
			l, err := rtnl.LinkByIndex(ctx, s.Port.Conn, above)
			return l, unless(err, fs.ErrNotExist)
		}
		i = slices.IndexFunc(all, func(r rtnl.Route) bool {
			return s.isSaved(r) && r.Index == above && r.Table != savedTable(above) && madeByUs(r)
		})
	}
	return nil, nil
}

// staysBeneath says whether the interface stays beneath this one, which has the default route.
func (s *Site) staysBeneath(above *rtnl.Link) bool {
	return !s.Last || slices.Contains(s.Beneath, nameOf(above))
}

// nameOf is what the interface was plugged in as: the guest may have renamed it.
func nameOf(l *rtnl.Link) string {
	if m, ours := link.ParseMark(l.Alias); ours {
		return m.Interface
	}
	return l.Name
}

// adjustStack prepares the stack for the interface's default route. What it has in the stack
// already goes from there. What interfaces displaced that are gone is this one's to keep
// now. It returns the interface that stays on top, where this one is to go beneath, or 0; and
// whether routes are kept in the guest already.
func (s stack) adjustStack(ctx context.Context, family int) (top int, kept bool, err error) {
	all, err := rtnl.Defaults(ctx, s.Port.Conn, family, 0)
	if err != nil {
		return 0, false, err
	}
	if kept = slices.ContainsFunc(all, func(r rtnl.Route) bool { return r.Table&savedBit != 0 }); kept {
		if err := s.leaveStack(ctx, all); err != nil {
			return 0, kept, err
		}
		if err := s.adopt(ctx, all, family); err != nil {
			return 0, kept, err
		}
	}
	if len(s.Beneath) == 0 {
		return 0, kept, nil
	}
	l, err := s.top(ctx, all)
	if l == nil || !slices.Contains(s.Beneath, nameOf(l)) {
		return 0, kept, err
	}
	return l.Index, kept, nil
}

// leaveStack takes the interface's default route from beneath another one, which gets what
// this one displaced.
func (s stack) leaveStack(ctx context.Context, all []rtnl.Route) error {
	own := slices.DeleteFunc(slices.Clone(all), func(r rtnl.Route) bool { return !s.isSaved(r) || r.Index != s.index() })
	if len(own) == 0 {
		return nil
	}
	saved := slices.DeleteFunc(slices.Clone(all), func(r rtnl.Route) bool { return r.Table != savedTable(s.index()) })
	if err := s.moveAll(ctx, saved, own[0].Table); err != nil {
		return err
	}
	return s.deleteAll(ctx, own)
}

// adopt takes over what interfaces displaced that are gone, but for what somebody has chosen
// another default route for.
func (s stack) adopt(ctx context.Context, all []rtnl.Route, family int) error {
	lost, err := s.savedDefaults(ctx, 0, family)
	if err != nil || len(lost) == 0 {
		return err
	}
	top, err := s.top(ctx, all)
	if err != nil {
		return err
	}
	replaced := func(r rtnl.Route) bool {
		return slices.ContainsFunc(all, func(o rtnl.Route) bool {
			return o.Table == unix.RT_TABLE_MAIN && o.Index != s.index() && (top == nil || o.Index != top.Index) && o.SameKey(r)
		})
	}
	if err := s.moveAll(ctx, slices.DeleteFunc(slices.Clone(lost), replaced), savedTable(s.index())); err != nil {
		return err
	}
	return s.deleteAll(ctx, slices.DeleteFunc(lost, func(r rtnl.Route) bool { return !replaced(r) }))
}

// putBeneath puts the default route beneath the one of the interface that is on top.
func (s stack) putBeneath(ctx context.Context, ours rtnl.Route, top int) error {
	saved, err := rtnl.Defaults(ctx, s.Port.Conn, ours.Family, savedTable(top))
	if err != nil {
		return err
	}
	if err := s.moveAll(ctx, saved, savedTable(s.index())); err != nil {
		return err
	}
	return s.append(ctx, ours.Kept(savedTable(top)))
}

// moveAll moves saved routes to another table. What the kernel does not take there stays.
func (s stack) moveAll(ctx context.Context, routes []rtnl.Route, table uint32) error {
	var moved []rtnl.Route
	var refused []error
	for _, r := range routes {
		err := s.append(ctx, r.InTable(table))
		if refusedRoute(err) {
			refused = append(refused, err)
			continue
		}
		if err != nil {
			return err
		}
		moved = append(moved, r)
	}
	s.warnOfEach("what another interface displaced stays with that", refused)
	return s.deleteAll(ctx, moved)
}

// withoutLost leaves out what interfaces displaced that are gone, where another interface of
// pipework's has the default route now: it comes back with that one's detach.
func (s stack) withoutLost(ctx context.Context, saved, now []rtnl.Route) ([]rtnl.Route, error) {
	top, err := s.top(ctx, now)
	if top == nil || err != nil {
		return saved, err
	}
	return slices.DeleteFunc(slices.Clone(saved), s.isSaved), nil
}
