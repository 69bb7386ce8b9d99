package link

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/ifconf"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// maxRoutes bounds the routes that are kept: a router's whole table is its daemon's to
// bring back.
const maxRoutes = 4096

// save fills in the addresses and routes that go when the interface moves.
func (w *past) save(ctx context.Context, p *Port, l *rtnl.Link) (err error) {
	if w.IfAddrs, err = rtnl.SaveAddrs(ctx, p.Host.Conn, l); err != nil {
		return err
	}
	if w.Routes, err = rtnl.SaveRoutes(ctx, p.Host.Conn, l.Index); err != nil {
		return err
	}
	if len(w.Routes) > maxRoutes {
		p.Warn("%d routes lead through %s: they are not kept, and do not come back with it", len(w.Routes), l.Name)
		w.Routes = nil
	}
	w.Index, w.Saved = l.Index, sinceBoot()
	w.Conf, err = ifconf.Read(ctx, ifconf.Do(enter(p.Host)), l.Name)
	return err
}

// sinceBoot is the time since the machine started, sleep included.
func sinceBoot() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}

// home is where addresses and routes come back to.
func (w past) home(l *rtnl.Link) rtnl.Home {
	return rtnl.Home{From: w.Index, To: l.Index, Ago: max(0, sinceBoot()-w.Saved)}
}

func (w past) restoreAddrs(ctx context.Context, h Host, l *rtnl.Link) error {
	for _, a := range w.Addrs {
		if err := rtnl.AddAddr(ctx, h.Conn, l.Index, a); err != nil {
			return err
		}
	}
	home := w.home(l)
	if w.Up { // or there are no routes
		home.Sources = rtnl.Sources(w.Routes)
	}
	if len(home.Sources) == 0 {
		return w.addAddrs(ctx, h, home)
	}
	return usableAtOnce(ctx, h, w.Name, func(flag uint32) error {
		home.AtOnce = flag
		return w.addAddrs(ctx, h, home)
	})
}

func (w past) addAddrs(ctx context.Context, h Host, home rtnl.Home) error {
	for _, a := range rtnl.InOrder(w.IfAddrs) {
		if err := a.RestoreAddr(ctx, h.Conn, home); err != nil {
			return err
		}
	}
	return nil
}

// restoreRoutes puts the routes back, those that need others after them. What the kernel
// does not take any more, because the network has changed meanwhile, is told.
func (w past) restoreRoutes(ctx context.Context, h Host, l *rtnl.Link, warn func(string, ...any)) error {
	if !w.Up { // it has none
		return nil
	}
	for left := w.Routes; len(left) > 0; {
		refused, why, err := w.tryRoutes(ctx, h, l, left)
		if err != nil {
			return err
		}
		if len(refused) < len(left) {
			left = refused
			continue
		}
		for _, err := range why {
			warn("%s came back without a route that it had: %v", w.Name, err)
		}
		return nil
	}
	return nil
}

// tryRoutes puts back what the kernel takes, and says what it refused and why.
func (w past) tryRoutes(ctx context.Context, h Host, l *rtnl.Link, routes []rtnl.Saved) (refused []rtnl.Saved, why []error, err error) {
	for _, r := range routes {
		err := r.RestoreRoute(ctx, h.Conn, w.home(l))
		switch {
		case err == nil:
		case errors.As(err, new(unix.Errno)):
			refused, why = append(refused, r), append(why, err)
		default:
			return nil, nil, err
		}
	}
	return refused, why, nil
}
