package parts

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// How default routes that an interface displaced come back; that they were displaced is in
// displaced_linux.go.

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
	lost, err := s.lostRoutes(ctx, family)
	if err != nil {
		return err
	}
	saved = append(saved, lost...)
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
		if err := learningOf(s.Site).relearn(ctx, learned); err != nil {
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
	var refused []error
	for _, r := range routes {
		err := s.append(ctx, r)
		if refusedRoute(err) {
			refused = append(refused, err)
			continue
		}
		if err != nil {
			return err
		}
		s.restored(r)
	}
	s.warnOfEach("what the interface displaced does not come back", refused)
	return nil
}

// maxWarned is how many routes of a guest are warned of one by one.
const maxWarned = 8

// warnOfEach warns of each route that the kernel refused, or of how many more there are.
func (s stack) warnOfEach(what string, refused []error) {
	for _, err := range refused[:min(len(refused), maxWarned)] {
		s.Port.Warn("%s: %v", what, err)
	}
	if more := len(refused) - maxWarned; more > 0 {
		s.Port.Warn("%s: %d more", what, more)
	}
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
