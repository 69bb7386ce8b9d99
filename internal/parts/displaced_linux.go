package parts

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
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
	for _, family := range families {
		now, err := rtnl.Defaults(ctx, s.Port.Conn, family, unix.RT_TABLE_MAIN)
		if err != nil {
			return err
		}
		for i, r := range now {
			if r.Index == s.Link.Index && s.outranks(i, now) == nil {
				s.Gateways = append(s.Gateways, r.Gateway)
			}
		}
		saved, err := rtnl.Defaults(ctx, s.Port.Conn, family, savedTable(s.Link.Index))
		if err != nil {
			return err
		}
		for _, r := range originals(saved) {
			s.Displaced = append(s.Displaced, r.String())
		}
	}
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
	on, err := s.unlearn(ctx, ours.Family)
	if err != nil {
		return nil, err
	}
	top, err := s.adjustStack(ctx, ours.Family)
	if err != nil {
		return nil, err
	}
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
	} else if displaced, err = s.displace(ctx, ours, addrs, defaultsNow{now, on}); err != nil {
		return nil, err
	}
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

// displace puts ours in the place of the default routes that there are.
func (s stack) displace(ctx context.Context, ours rtnl.Route, addrs []netip.Prefix, now defaultsNow) (displaced []string, err error) {
	old, err := s.saveDefaults(ctx, now)
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
		displaced = append(displaced, r.String())
		if err := r.Delete(ctx, s.Port.Conn); err != nil {
			return nil, err
		}
	}
	return displaced, nil
}

// displaceLearned has what the kernel learned from routers give way to the default route of
// the interface that stays on top, which keeps it.
func (s stack) displaceLearned(ctx context.Context, now defaultsNow, top int) error {
	var learned []rtnl.Route
	for _, r := range now.routes {
		if r.Index == s.Link.Index || !s.isLearned(r, now.learned) {
			continue
		}
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
	index := s.Link.Index
	for _, r := range now.routes {
		if others, ok := r.Without(index); ok {
			old = append(old, others)
		}
	}
	for _, r := range old {
		saved := r.Kept(savedTable(index))
		if s.isLearned(r, now.learned) {
			saved = r.KeptLearned(savedTable(index))
		}
		if err := s.append(ctx, saved); err != nil {
			return nil, err
		}
	}
	return old, nil
}

// putBack makes old the default routes again, instead of new. One that has the
// same key takes another's place in one step, so that there is always one.
func putBack(ctx context.Context, c *ns.Conn, old []rtnl.Route, new ...rtnl.Route) error {
	for _, n := range new {
		i := slices.IndexFunc(old, n.SameKey)
		if i < 0 {
			continue
		}
		if err := old[i].Put(ctx, c); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	for _, r := range old {
		if _, err := r.Append(ctx, c); err != nil {
			return err
		}
	}
	for _, n := range new { // also one that has a key of the old: the kernel may have replaced another
		if oneOf(old)(n) {
			continue
		}
		if err := n.Delete(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// restoreDefaults puts the routes back that the interface displaced, and empties
// its table. What the kernel learned it learns again.
func (s stack) restoreDefaults(ctx context.Context, family int) error {
	saved, err := s.savedDefaults(ctx, s.index(), family)
	if err != nil {
		return err
	}
	handed := false
	if len(saved) > 0 {
		if saved, handed, err = s.restore(ctx, saved, family); err != nil {
			return err
		}
	}
	if family == unix.AF_INET6 {
		learned, _ := byKernel(saved)
		if handed {
			learned = nil
		}
		if err := s.relearn(ctx, learned); err != nil {
			return err
		}
	}
	return s.deleteAll(ctx, saved)
}

// restore puts saved routes back. Where another interface took this one's place as the
// default in the meantime, they are handed over to that one; where somebody else chose a
// default, they are dropped. It returns those that are done with.
func (s stack) restore(ctx context.Context, saved []rtnl.Route, family int) (done []rtnl.Route, handed bool, err error) {
	index := s.index()
	_, old := byKernel(saved)
	old = originals(old)
	now, err := rtnl.Defaults(ctx, s.Port.Conn, family, unix.RT_TABLE_MAIN)
	if err != nil {
		return nil, false, err
	}
	i := slices.IndexFunc(now, s.isDefault)
	if i < 0 {
		i = slices.IndexFunc(now, func(r rtnl.Route) bool { return r.Index == index && index != 0 })
	}
	switch {
	case i >= 0:
		if err = s.swapDefaults(ctx, old, now[i]); err == nil {
			s.restored(old...)
		} else if refusedRoute(err) {
			err = s.addAll(ctx, old) // those that can be; ours goes with the interface
		}
	case len(now) > 0 && !slices.ContainsFunc(now, oneOf(originals(saved))): // else a killed call put some back
		if saved, err = s.withoutLost(ctx, saved, now); err != nil {
			return nil, false, err
		}
		handed, err = s.handOver(ctx, saved, index, family)
	default:
		err = s.addAll(ctx, s.notIn(now, old))
	}
	return saved, handed, err
}

// oneOf returns whether a route is one of these, in whatever table, or has a next hop of
// one: of IPv6 the kernel makes one route of those that have the same key.
func oneOf(routes []rtnl.Route) func(rtnl.Route) bool {
	return func(r rtnl.Route) bool {
		return slices.ContainsFunc(routes, func(o rtnl.Route) bool {
			return r.SameKey(o) && slices.ContainsFunc(r.Hops(), func(hop rtnl.Hop) bool { return slices.Contains(o.Hops(), hop) })
		})
	}
}

// savedDefaults lists what the interface displaced, and what interfaces displaced
// that are gone without having been detached. Index 0 stands for those alone.
func (s stack) savedDefaults(ctx context.Context, index, family int) ([]rtnl.Route, error) {
	all, err := rtnl.Defaults(ctx, s.Port.Conn, family, 0)
	all = slices.DeleteFunc(all, func(r rtnl.Route) bool { return r.Table != savedTable(index) && !isKept(r) })
	if err != nil || len(all) == 0 {
		return nil, err
	}
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r rtnl.Route) bool {
		owner := int(r.Table &^ savedBit)
		return owner != index && slices.ContainsFunc(links, func(l *rtnl.Link) bool { return l.Index == owner })
	})
	own := slices.DeleteFunc(slices.Clone(all), func(r rtnl.Route) bool { return r.Table != savedTable(index) })
	all = append(own, slices.DeleteFunc(all, func(r rtnl.Route) bool { return r.Table == savedTable(index) })...)
	return limited(s.Port, all, maxSaved, "default routes that were displaced"), nil
}

// isKept says whether the route is pipework's in a table of saved routes.
func isKept(r rtnl.Route) bool {
	return r.Table&savedBit != 0 && r.Table&^savedBit <= maxIndex && (r.IsKept() || r.Protocol() == rtnl.Protocol)
}

// originals are saved routes as they were in the main table.
func originals(saved []rtnl.Route) []rtnl.Route {
	were := make([]rtnl.Route, 0, len(saved))
	for _, r := range saved {
		were = append(were, r.Original())
	}
	return were
}

func inTable(routes []rtnl.Route, table uint32) []rtnl.Route {
	moved := make([]rtnl.Route, 0, len(routes))
	for _, r := range routes {
		moved = append(moved, r.InTable(table))
	}
	return moved
}

func (s stack) swapDefaults(ctx context.Context, old []rtnl.Route, ours rtnl.Route) error {
	s.Undo.Push("restored default routes", func(ctx context.Context) error {
		return putBack(ctx, s.Port.Conn, []rtnl.Route{ours}, old...)
	})
	return putBack(ctx, s.Port.Conn, old, ours)
}

// append adds a route after others of the same key. What was there before is not undone.
func (s stack) append(ctx context.Context, r rtnl.Route) error {
	added, err := r.Append(ctx, s.Port.Conn)
	if added {
		s.Undo.Push("added "+r.String(), func(ctx context.Context) error { return r.Delete(ctx, s.Port.Conn) })
	}
	return err
}

func (s stack) addAll(ctx context.Context, routes []rtnl.Route) error {
	for _, r := range routes {
		err := s.append(ctx, r)
		if refusedRoute(err) {
			s.Port.Warn("what the interface displaced does not come back: %v", err)
			continue
		}
		if err != nil {
			return err
		}
		s.restored(r)
	}
	return nil
}

// notIn leaves out what a killed call has put back among these.
func (s stack) notIn(now, old []rtnl.Route) []rtnl.Route {
	isThere := oneOf(now)
	return slices.DeleteFunc(old, func(r rtnl.Route) bool {
		if isThere(r) {
			s.restored(r)
		}
		return isThere(r)
	})
}

// restored notes displaced routes that are in the main table again.
func (s stack) restored(routes ...rtnl.Route) {
	for _, r := range routes {
		if r.Table == unix.RT_TABLE_MAIN {
			s.Restored = append(s.Restored, r.String())
		}
	}
}

// refusedRoute says that the kernel does not take a route as things are by now in the
// guest, whose root may have seen to that: no reason for the interface to stay.
func refusedRoute(err error) bool {
	errno, is := errors.AsType[unix.Errno](err)
	return is && !errno.Temporary() && errno != unix.EPERM && errno != unix.ENOMEM && errno != unix.ENOBUFS
}

// handOver gives the saved routes to the interface that displaced ours: the one
// whose table holds a default route through ours.
func (s stack) handOver(ctx context.Context, saved []rtnl.Route, index, family int) (handed bool, err error) {
	all, err := rtnl.Defaults(ctx, s.Port.Conn, family, 0)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(all, func(r rtnl.Route) bool {
		return isKept(r) && r.Table != savedTable(index) && r.Index == index
	})
	if i < 0 {
		return false, nil
	}
	return true, s.addAll(ctx, inTable(saved, all[i].Table))
}
