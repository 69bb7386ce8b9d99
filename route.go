//go:build linux

package pipework

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// Default routes that an interface displaced are kept by the kernel itself, in
// a routing table of the guest that no rule looks into: number 2³¹ plus the
// interface's index. So they are whole, need no file, go away by themselves
// with the device they use, and `ip route show table all` shows them.
const savedBit = 1 << 31

func savedTable(index int) uint32 { return savedBit | uint32(index) }

// replaceDefault makes gw the default gateway of its family, through the
// interface with this index, and keeps every default route that was there.
func (j *job) replaceDefault(ctx context.Context, index int, gw netip.Addr) (displaced []string, err error) {
	c := j.port.Conn
	old, err := j.saveDefaults(ctx, index, rtnl.Family(gw))
	if err != nil {
		return nil, err
	}
	if !j.covered(gw) {
		// Beside one through another interface, not instead of it.
		hop := rtnl.Via(netip.PrefixFrom(gw, gw.BitLen()), netip.Addr{}, index)
		if err := hop.Add(ctx, c); err != nil {
			return nil, err
		}
		j.undo.Push("route to "+gw.String(), func(ctx context.Context) error { return hop.Delete(ctx, c) })
	}
	ours := defaultVia(gw, index)
	if err := ours.Put(ctx, c); err != nil {
		return nil, err
	}
	j.undo.Push("default route", func(ctx context.Context) error { return putBack(ctx, c, old, ours) })
	for _, r := range old {
		displaced = append(displaced, r.String())
		if r.SameKey(ours) {
			continue // replaced
		}
		if err := r.Delete(ctx, c); err != nil {
			return nil, err
		}
	}
	return displaced, nil
}

// covered says whether an address of the interface makes gw reachable.
func (j *job) covered(gw netip.Addr) bool {
	return j.spec.covered(gw) || j.lease != nil && j.lease.Addr.Contains(gw)
}

func defaultVia(gw netip.Addr, index int) rtnl.Route {
	dst := netip.IPv4Unspecified()
	if gw.Is6() {
		dst = netip.IPv6Unspecified()
	}
	return rtnl.Via(netip.PrefixFrom(dst, 0), gw, index)
}

// saveDefaults copies the default routes of others into the interface's table.
func (j *job) saveDefaults(ctx context.Context, index, family int) ([]rtnl.Route, error) {
	old, err := rtnl.Defaults(ctx, j.port.Conn, family, unix.RT_TABLE_MAIN)
	if err != nil {
		return nil, err
	}
	old = slices.DeleteFunc(old, func(r rtnl.Route) bool { return r.Index == index })
	for _, r := range old {
		saved := r.InTable(savedTable(index))
		if err := saved.Add(ctx, j.port.Conn); err != nil {
			return nil, err
		}
		j.undo.Push("copy of "+r.String(), func(ctx context.Context) error { return saved.Delete(ctx, j.port.Conn) })
	}
	return old, nil
}

// putBack makes old the default routes again, instead of new. One that has the
// same key takes the other's place in one step, so that there is always one.
func putBack(ctx context.Context, c *ns.Conn, old []rtnl.Route, new ...rtnl.Route) error {
	for _, n := range new {
		i := slices.IndexFunc(old, n.SameKey)
		if i < 0 {
			continue
		}
		if err := old[i].Put(ctx, c); err != nil {
			return err
		}
	}
	for _, r := range old {
		if err := r.Add(ctx, c); err != nil {
			return err
		}
	}
	for _, n := range new {
		if slices.ContainsFunc(old, n.SameKey) {
			continue
		}
		if err := n.Delete(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// restoreDefaults puts the routes back that the interface displaced, and empties
// its table. Where another interface took its place as the default in the
// meantime, they are handed over to that one; where somebody else chose a
// default, they are dropped.
func (j *job) restoreDefaults(ctx context.Context, index, family int) error {
	c := j.port.Conn
	saved, err := j.savedDefaults(ctx, index, family)
	if err != nil || len(saved) == 0 {
		return err
	}
	now, err := rtnl.Defaults(ctx, c, family, unix.RT_TABLE_MAIN)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(now, func(r rtnl.Route) bool { return r.Index == index && index != 0 })
	switch {
	case i >= 0:
		old := inTable(saved, unix.RT_TABLE_MAIN)
		if err = j.swapDefaults(ctx, old, now[i]); refusedRoute(err) {
			err = j.addAll(ctx, old) // those that can be; ours goes with the interface
		}
	case len(now) > 0 && !slices.ContainsFunc(now, oneOf(saved)): // else a killed call put some back
		err = j.handOver(ctx, saved, index, family)
	default:
		err = j.addAll(ctx, slices.DeleteFunc(inTable(saved, unix.RT_TABLE_MAIN), oneOf(now)))
	}
	if err != nil {
		return err
	}
	return j.deleteAll(ctx, saved)
}

// oneOf returns whether a route is one of these, in whatever table.
func oneOf(routes []rtnl.Route) func(rtnl.Route) bool {
	return func(r rtnl.Route) bool {
		return slices.ContainsFunc(routes, func(o rtnl.Route) bool {
			return r.SameKey(o) && r.Index == o.Index && r.Gateway == o.Gateway
		})
	}
}

// savedDefaults lists what the interface displaced, and what interfaces displaced
// that are gone without having been detached. Index 0 stands for those alone.
func (j *job) savedDefaults(ctx context.Context, index, family int) ([]rtnl.Route, error) {
	all, err := rtnl.Defaults(ctx, j.port.Conn, family, 0)
	all = slices.DeleteFunc(all, func(r rtnl.Route) bool { return r.Table&savedBit == 0 })
	if err != nil || len(all) == 0 {
		return nil, err
	}
	links, err := rtnl.Links(ctx, j.port.Conn)
	return slices.DeleteFunc(all, func(r rtnl.Route) bool {
		owner := int(r.Table &^ savedBit)
		return owner != index && slices.ContainsFunc(links, func(l *rtnl.Link) bool { return l.Index == owner })
	}), err
}

func inTable(routes []rtnl.Route, table uint32) []rtnl.Route {
	moved := make([]rtnl.Route, 0, len(routes))
	for _, r := range routes {
		moved = append(moved, r.InTable(table))
	}
	return moved
}

func (j *job) swapDefaults(ctx context.Context, old []rtnl.Route, ours rtnl.Route) error {
	j.undo.Push("restored default routes", func(ctx context.Context) error {
		return putBack(ctx, j.port.Conn, []rtnl.Route{ours}, old...)
	})
	return putBack(ctx, j.port.Conn, old, ours)
}

func (j *job) addAll(ctx context.Context, routes []rtnl.Route) error {
	for _, r := range routes {
		err := r.Add(ctx, j.port.Conn)
		if refusedRoute(err) {
			j.port.Warn("what the interface displaced does not come back: %v", err)
			continue
		}
		if err != nil {
			return err
		}
		j.undo.Push("restored "+r.String(), func(ctx context.Context) error { return r.Delete(ctx, j.port.Conn) })
	}
	return nil
}

// refusedRoute says that the kernel does not take a route as things are by now in the
// guest, whose root may have seen to that: no reason for the interface to stay.
func refusedRoute(err error) bool {
	errno, is := errors.AsType[unix.Errno](err)
	return is && !errno.Temporary() && errno != unix.EPERM && errno != unix.ENOMEM && errno != unix.ENOBUFS
}

func (j *job) deleteAll(ctx context.Context, routes []rtnl.Route) error {
	for _, r := range routes {
		if err := r.Delete(ctx, j.port.Conn); err != nil {
			return err
		}
		j.undo.Push("copy of "+r.String(), func(ctx context.Context) error { return r.Add(ctx, j.port.Conn) })
	}
	return nil
}

// handOver gives the saved routes to the interface that displaced ours: the one
// whose table holds a default route through ours.
func (j *job) handOver(ctx context.Context, saved []rtnl.Route, index, family int) error {
	all, err := rtnl.Defaults(ctx, j.port.Conn, family, 0)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(r rtnl.Route) bool {
		return r.Table&savedBit != 0 && r.Table != savedTable(index) && r.Index == index
	})
	if i < 0 {
		return nil
	}
	return j.addAll(ctx, inTable(saved, all[i].Table))
}
