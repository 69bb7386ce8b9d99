package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// kernelRoute is a route of the Spec's through the interface with this index.
func kernelRoute(r link.Route, index int) rtnl.Route {
	k := rtnl.Via(r.Dst, r.Via, index).With(r.Metric, r.Src)
	if r.Table != 0 {
		k = k.InTable(r.Table)
	}
	return k
}

// addRoutes adds the Spec's routes to a new interface, with which they go.
func (j *job) addRoutes(ctx context.Context, l *rtnl.Link, out *Attachment) error {
	for _, r := range j.spec.Routes {
		j.log(ctx, "route", "route", r)
		if err := j.addRoute(ctx, l, r); err != nil {
			return err
		}
		if k := kernelRoute(r, l.Index); r.Dst.Bits() == 0 && k.Table == unix.RT_TABLE_MAIN {
			out.Gateways = append(out.Gateways, r.Via)
		}
	}
	return nil
}

func (j *job) addRoute(ctx context.Context, l *rtnl.Link, r link.Route) error {
	if r.Src.Is6() {
		if err := j.awaitSource(ctx, l, r); err != nil {
			return err
		}
	}
	err := kernelRoute(r, l.Index).AddNew(ctx, j.port.Conn)
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return errs.New(fs.ErrInvalid, "route %s: %s is not on the link: give the interface an address of its subnet, or a route to it first (%w)", r, r.Via, err)
	case errors.Is(err, unix.EINVAL) && r.Src.IsValid():
		return errs.New(fs.ErrInvalid, "route %s: is %s an address of the interface? (%w)", r, r.Src, err)
	}
	return err
}

// sourceTime bounds the wait for a source address; see link.Announcer.
const sourceTime = 4 * time.Second

// awaitSource waits until duplicate address detection of an IPv6 source is over:
// before that the kernel takes no route with it.
func (j *job) awaitSource(ctx context.Context, l *rtnl.Link, r link.Route) error {
	for end := time.Now().Add(sourceTime); ; {
		addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(addrs, func(a rtnl.Addr) bool { return a.Prefix.Addr() == r.Src })
		if i < 0 || addrs[i].Usable() {
			return nil
		}
		if addrs[i].Duplicate() || time.Now().After(end) {
			return fmt.Errorf("route %s: duplicate address detection did not permit %s", r, r.Src)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ownRouteDrifts tells of routes of the Spec's that are gone.
func (j *job) ownRouteDrifts(ctx context.Context, l *rtnl.Link) (drifts []link.Drift, err error) {
	for _, r := range j.spec.Routes {
		k := kernelRoute(r, l.Index)
		have, err := rtnl.Routes(ctx, j.port.Conn, k.Family, k.Table)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(have, k.Same) {
			continue
		}
		drifts = append(drifts, link.Drift{What: "route " + r.String() + " is gone", Mend: func(ctx context.Context, u *link.Undo) error {
			if err := j.addRoute(ctx, l, r); err != nil {
				return err
			}
			u.Push("route "+r.String(), func(ctx context.Context) error { return k.Delete(ctx, j.port.Conn) })
			return nil
		}})
	}
	return drifts, nil
}
