package parts

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/link"
)

// Default routes that an interface displaced are kept by the kernel itself, in
// a routing table of the guest that no rule looks into: number 2³¹ plus the
// interface's index. So they are whole, need no file, go away by themselves
// with the device they use, and `ip route show table all` shows them. Each bears a mark:
// others may use tables of such numbers, too.
const (
	savedBit = 1 << 31
	maxIndex = 1<<24 - 1 // more than an interface ever gets as its index
	maxSaved = 4096      // of displaced routes in one call: the guest can write any number
)

func savedTable(index int) uint32 { return savedBit | uint32(index) }

// surplusDefault tells of a default route that is not asked for any more, and of
// displaced ones that a killed call did not put back. One by a lease is the lease's.
func (s stack) surplusDefault(now, saved []rtnl.Route, family int) []link.Drift {
	through := slices.DeleteFunc(slices.Clone(now), func(r rtnl.Route) bool { return !s.isDefault(r) })
	own := slices.ContainsFunc(through, func(r rtnl.Route) bool { return r.Protocol() == rtnl.Protocol })
	if !own && (len(through) > 0 || len(saved) == 0) {
		return nil
	}
	return []link.Drift{{What: "it has a default route", Mend: func(ctx context.Context, _ *link.Undo) error {
		return s.dropDefault(ctx, family, rtnl.Protocol)
	}}}
}

// dropDefault puts back what the interface displaced, and removes its own default route
// of this protocol.
func (s stack) dropDefault(ctx context.Context, family, protocol int) error {
	if err := s.restoreDefaults(ctx, family); err != nil {
		return err
	}
	now, err := rtnl.Defaults(ctx, s.Port.Conn, family, unix.RT_TABLE_MAIN)
	if err != nil {
		return err
	}
	return s.deleteAll(ctx, slices.DeleteFunc(now, func(r rtnl.Route) bool {
		return !s.isDefault(r) || r.Protocol() != protocol
	}))
}

// readDefaults fills in the gateways and what was displaced.
func (s stack) readDefaults(ctx context.Context) error {
	listed := map[netip.Addr]bool{}
	for _, family := range families {
		all, err := rtnl.Defaults(ctx, s.Port.Conn, family, 0)
		if err != nil {
			return err
		}
		now := slices.DeleteFunc(slices.Clone(all), func(r rtnl.Route) bool { return r.Table != unix.RT_TABLE_MAIN })
		for i, r := range now {
			if r.Index == s.Link.Index && !listed[r.Gateway] && s.outranks(i, now) == nil {
				listed[r.Gateway] = true
				s.Gateways = append(s.Gateways, r.Gateway)
			}
		}
		for _, r := range all {
			if r.Table == savedTable(s.Link.Index) {
				s.Displaced = append(s.Displaced, r.Original().String())
			}
		}
		s.fillSaved(all)
	}
	s.Gateways = limited(s.Port, s.Gateways, told.Most, "gateways of default routes through "+s.Link.Name)
	return nil
}

// LostDefaults tells of default routes of the interface that are gone, also where it is not
// known what was asked for: the routes that they displaced are still kept.
func (s *Site) LostDefaults(ctx context.Context) (lost []string, err error) {
	for _, family := range families {
		all, err := rtnl.Defaults(ctx, s.Port.Conn, family, 0)
		if err != nil {
			return nil, err
		}
		saved := slices.IndexFunc(all, func(r rtnl.Route) bool { return isKept(r) && r.Table == savedTable(s.Link.Index) })
		there := slices.ContainsFunc(all, func(r rtnl.Route) bool {
			return r.Index == s.Link.Index && (r.Table == unix.RT_TABLE_MAIN || s.stack().isSaved(r))
		})
		if saved >= 0 && !there {
			lost = append(lost, "the default route that took the place of "+all[saved].Original().String()+" is gone")
		}
	}
	return lost, nil
}

// replaceDefault makes ours the default route of its family, and keeps every one that
// was there through other interfaces. The addresses are the interface's.
func (s stack) replaceDefault(ctx context.Context, ours rtnl.Route, addrs []netip.Prefix) (displaced []string, err error) {
	on, err := learningOf(s.Site).unlearn(ctx, ours.Family)
	if err != nil {
		return nil, err
	}
	top, kept, err := s.adjustStack(ctx, ours.Family)
	if err != nil {
		return nil, err
	}
	var old []rtnl.Route
	now, err := rtnl.Defaults(ctx, s.Port.Conn, ours.Family, unix.RT_TABLE_MAIN)
	if err != nil {
		return nil, err
	}
	if top != 0 {
		if err := s.addHop(ctx, ours, addrs); err != nil {
			return nil, err
		}
		if err := s.putBeneath(ctx, ours, top); err != nil {
			return nil, err
		}
		if err := s.displaceLearned(ctx, defaultsNow{now, on}, top); err != nil {
			return nil, err
		}
	} else if old, err = s.displace(ctx, ours, addrs, defaultsNow{now, on}); err != nil {
		return nil, err
	}
	for i, r := range old {
		displaced, old[i] = append(displaced, r.String()), s.saved(r, on)
	}
	if kept {
		if old, err = rtnl.Defaults(ctx, s.Port.Conn, ours.Family, 0); err != nil {
			return nil, err
		}
	}
	s.fillSaved(old)
	return displaced, s.deleteAll(ctx, s.advertised(now))
}

// advertised are the routes through the interface that routers advertise.
func (s stack) advertised(now []rtnl.Route) []rtnl.Route {
	return slices.DeleteFunc(slices.Clone(now), func(r rtnl.Route) bool {
		return r.Index != s.Link.Index || r.Protocol() != unix.RTPROT_RA
	})
}

// defaultsNow are default routes, and where the kernel learned some.
type defaultsNow struct {
	routes  []rtnl.Route
	learned learners
}

// displace puts ours in the place of the default routes that there are, and returns them.
func (s stack) displace(ctx context.Context, ours rtnl.Route, addrs []netip.Prefix, now defaultsNow) (old []rtnl.Route, err error) {
	old, err = s.saveDefaults(ctx, now)
	if err != nil {
		return nil, err
	}
	if err := s.addHop(ctx, ours, addrs); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(now.routes, sameAs(ours)) { // others are beside it
		s.Undo.Push("default routes", func(ctx context.Context) error { return putBack(ctx, s.Port.Conn, old) })
	} else if err := s.putDefault(ctx, ours, append(slices.Clone(old), s.advertised(now.routes)...)); err != nil {
		return nil, err
	}
	for _, r := range old {
		if err := r.Delete(ctx, s.Port.Conn); err != nil {
			return nil, err
		}
	}
	return old, nil
}

// displaceLearned has what the kernel learned from routers give way to the default route of
// the interface that stays on top, which keeps it.
func (s stack) displaceLearned(ctx context.Context, now defaultsNow, top int) error {
	var learned []rtnl.Route
	for _, r := range now.routes {
		if r.Index == s.Link.Index || !isLearned(r, now.learned) {
			continue
		}
		learningOf(s.Site).warnOfRefused(r, now.learned)
		learned = append(learned, r)
		if r.Index == top {
			continue // it would not come back through what is gone by then
		}
		if err := s.append(ctx, r.KeptLearned(savedTable(top))); err != nil {
			return err
		}
	}
	return s.deleteAll(ctx, learned)
}

// putDefault puts ours in the place of one of these, if the kernel takes one for the other;
// its undo puts all of them back.
func (s stack) putDefault(ctx context.Context, ours rtnl.Route, old []rtnl.Route) error {
	if err := ours.Put(ctx, s.Port.Conn); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	s.Undo.Push("default route", func(ctx context.Context) error { return putBack(ctx, s.Port.Conn, old, ours) })
	return nil
}

// saveDefaults copies those of the default routes that are others' into the interface's
// table.
func (s stack) saveDefaults(ctx context.Context, now defaultsNow) (old []rtnl.Route, err error) {
	for _, r := range now.routes {
		if others, ok := r.Without(s.Link.Index); ok {
			old = append(old, others)
		}
	}
	for _, r := range old {
		learningOf(s.Site).warnOfRefused(r, now.learned)
		if err := s.append(ctx, s.saved(r, now.learned)); err != nil {
			return nil, err
		}
	}
	return old, nil
}

// saved is the copy of a route in the interface's table.
func (s stack) saved(r rtnl.Route, on learners) rtnl.Route {
	if isLearned(r, on) {
		return r.KeptLearned(savedTable(s.Link.Index))
	}
	return r.Kept(savedTable(s.Link.Index))
}
