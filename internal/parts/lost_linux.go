package parts

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// What is kept in a guest its root can delete: the copies of displaced routes, and the notes.
// Those who keep a record of what a call returned know the routes by that (Site.Saved, which is
// Site.Known in later calls). An interface that has lost its note is known by its setting.

// The bounds of what a record has to hold: the guest can make any number of routes, and an
// IPv6 route with thousands of next hops.
const (
	maxKnown     = 16
	maxKnownSize = 512 // bytes of one
)

// fillSaved fills in which of these default routes, of all tables, wait there to come back. Of
// pipework's own others have a record, those of routers are the kernel's, and what expires may
// be gone for that reason.
func (s stack) fillSaved(all []rtnl.Route) {
	more := 0
	for _, r := range all {
		if !isKept(r) || r.IsKeptLearned() || r.Protocol() == rtnl.Protocol || r.Expires() {
			continue
		}
		if b := r.Original().Saved(); len(b) <= maxKnownSize && len(s.Saved) < maxKnown {
			s.Saved = append(s.Saved, b)
		} else {
			more++
		}
	}
	if more > 0 {
		s.Port.Warn("the guest has %d default routes more than a record holds: should its root delete their copies in its tables of displaced routes, nobody tells", more)
	}
}

// fillKnown is fillSaved for an interface that was there: what the guest has lost of what is
// known stays known, since it may come back yet.
func (s stack) fillKnown(ctx context.Context, all []rtnl.Route, family int) error {
	lost, err := s.lostRoutes(ctx, family)
	s.fillSaved(append(all, lost...))
	return err
}

// lostRoutes are the known displaced routes of the family that are in no table of the guest
// any more, as copies of the interface's. Those through an interface that is gone, and through
// pipework's own, are not lost.
func (s stack) lostRoutes(ctx context.Context, family int) (lost []rtnl.Route, err error) {
	var known []rtnl.Route
	for _, b := range s.Known {
		if r, ok := rtnl.ParseSaved(b); ok && r.Family == family && r.Dst.Bits() == 0 {
			known = append(known, r)
		}
	}
	if len(known) == 0 {
		return nil, nil
	}
	all, err := rtnl.Defaults(ctx, s.Port.Conn, family, 0)
	if err != nil {
		return nil, err
	}
	isThere := oneOf(originals(slices.DeleteFunc(all, func(r rtnl.Route) bool { return r.Table != unix.RT_TABLE_MAIN && !isKept(r) })))
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return nil, err
	}
	others := map[int]bool{}
	for _, l := range links {
		_, ours := link.ParseMark(l.Alias)
		others[l.Index] = !ours
	}
	for _, r := range known {
		if !isThere(r) && !slices.ContainsFunc(r.Hops(), func(h rtnl.Hop) bool { return !others[h.Index] }) {
			lost = append(lost, r.Kept(savedTable(s.index())))
		}
	}
	return lost, nil
}

// usable are those of the routes that the kernel would take now. It has dropped the others
// itself, if nobody else did: their interface is down, or has no route to the gateway any more.
func (s stack) usable(ctx context.Context, lost []rtnl.Route, family int) ([]rtnl.Route, error) {
	if len(lost) == 0 {
		return nil, nil
	}
	all, err := rtnl.Routes(ctx, s.Port.Conn, family, unix.RT_TABLE_MAIN, func(r rtnl.Route) bool {
		to := func(h rtnl.Hop) bool { return h.Index == r.Index && r.Dst.Contains(h.Gateway) }
		return !r.Gateway.IsValid() && slices.ContainsFunc(lost, func(l rtnl.Route) bool { return slices.ContainsFunc(l.Hops(), to) })
	})
	if err != nil {
		return nil, err
	}
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return nil, err
	}
	unusable := func(hop rtnl.Hop) bool {
		up := slices.ContainsFunc(links, func(l *rtnl.Link) bool { return l.Index == hop.Index && l.Up })
		leads := !hop.Gateway.IsValid() || hop.Gateway.Is6() && hop.Gateway.IsLinkLocalUnicast()
		return !up || !leads && !slices.ContainsFunc(all, func(r rtnl.Route) bool {
			return r.Index == hop.Index && r.Dst.Contains(hop.Gateway)
		})
	}
	return slices.DeleteFunc(lost, func(r rtnl.Route) bool { return slices.ContainsFunc(r.Hops(), unusable) }), nil
}

// lost tells of what the guest has lost of the family.
func (s stack) lost(ctx context.Context, family int) (drifts []link.Drift, err error) {
	routes, err := s.lostRoutes(ctx, family)
	if err == nil {
		routes, err = s.usable(ctx, routes, family)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		drifts = append(drifts, link.Drift{What: r.Original().String() + ", which was displaced, is not kept any more", Mend: func(ctx context.Context, _ *link.Undo) error {
			return s.addAll(ctx, []rtnl.Route{r})
		}})
	}
	if family == unix.AF_INET6 {
		notes, err := learningOf(s.Site).withoutNotes(ctx)
		return append(drifts, notes...), err
	}
	return drifts, nil
}
