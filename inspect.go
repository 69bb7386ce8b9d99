//go:build linux

package pipework

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Check is [Check] by this Attacher.
func (a *Attacher) Check(ctx context.Context, t Target, s Spec) (*Attachment, error) {
	s = s.normal()
	j := &job{Attacher: a, op: "check", spec: s}
	if err := link.ValidName(s.Name); err != nil {
		return nil, j.fail("spec", errs.New(fs.ErrInvalid, "%w", err))
	}
	if err := j.open(ctx, t); err != nil {
		return nil, err
	}
	defer j.close()
	return j.check(ctx)
}

func (j *job) check(ctx context.Context) (*Attachment, error) {
	l, err := j.find(ctx)
	if err != nil {
		return nil, err
	}
	drifts, err := j.drifts(ctx, l)
	if err != nil {
		return nil, err
	}
	out, err := j.read(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, d := range drifts {
		out.Drifts = append(out.Drifts, d.What)
	}
	out.Warnings = j.port.Warnings
	return out, nil
}

// drifts compares the interface and its host end with the Spec.
func (j *job) drifts(ctx context.Context, l *rtnl.Link) ([]link.Drift, error) {
	drifts, err := j.spec.Link.Check(ctx, &j.port)
	if err != nil {
		return nil, j.fail("link", err)
	}
	drifts = append(drifts, j.linkDrifts(l)...)
	for _, check := range []func(context.Context, *rtnl.Link) ([]link.Drift, error){
		j.addrDrifts, j.routeDrifts, j.leaseDrifts, j.ownRouteDrifts, j.ruleDrifts, j.shapeDrifts,
	} {
		more, err := check(ctx, l)
		if err != nil {
			return nil, j.fail("address", err)
		}
		drifts = append(drifts, more...)
	}
	return drifts, nil
}

func (j *job) linkDrifts(l *rtnl.Link) (drifts []link.Drift) {
	c := j.port.Conn
	if _, marked := link.ParseMark(l.Alias); !marked {
		drifts = append(drifts, link.Drift{What: l.Name + " has lost its mark", Mend: func(ctx context.Context, _ *link.Undo) error {
			if l.Unfinished() {
				return rtnl.Finish(ctx, c, l.Name, j.port.Mark.String())
			}
			return rtnl.SetAlias(ctx, c, l.Index, j.port.Mark.String())
		}})
	}
	if !l.Up {
		drifts = append(drifts, link.Drift{What: l.Name + " is down", Mend: func(ctx context.Context, u *link.Undo) error {
			u.Push("up "+l.Name, func(ctx context.Context) error { return rtnl.SetDown(ctx, c, l.Index) })
			return rtnl.SetLink(ctx, c, l.Name, "")
		}})
	}
	if want := j.spec.MAC; want != nil && want.String() != l.MAC.String() {
		drifts = append(drifts, link.Drift{Chosen: true, What: fmt.Sprintf("MAC is %s instead of %s", l.MAC, want), Mend: func(ctx context.Context, u *link.Undo) error {
			u.Push("MAC of "+l.Name, func(ctx context.Context) error { return rtnl.SetMAC(ctx, c, l.Index, l.MAC) })
			return rtnl.SetMAC(ctx, c, l.Index, want)
		}})
	}
	if want := j.spec.MTU; want != 0 && want != l.MTU {
		drifts = append(drifts, link.Drift{Chosen: true, What: fmt.Sprintf("MTU is %d instead of %d", l.MTU, want), Mend: func(ctx context.Context, u *link.Undo) error {
			u.Push("MTU of "+l.Name, func(ctx context.Context) error { return rtnl.SetMTU(ctx, c, l.Index, l.MTU) })
			return rtnl.SetMTU(ctx, c, l.Index, want)
		}})
	}
	return drifts
}

func (j *job) addrDrifts(ctx context.Context, l *rtnl.Link) (drifts []link.Drift, err error) {
	have, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return nil, err
	}
	for _, p := range j.spec.Addrs {
		if slices.ContainsFunc(have, func(a rtnl.Addr) bool { return a.Prefix == p }) {
			continue
		}
		drifts = append(drifts, link.Drift{What: "address " + p.String() + " is gone", Mend: func(ctx context.Context, u *link.Undo) error {
			if err := j.addAddr(ctx, l, p); err != nil {
				return err
			}
			u.Push("address "+p.String(), func(ctx context.Context) error { return rtnl.DelAddr(ctx, j.port.Conn, l.Index, p) })
			return nil
		}})
	}
	return drifts, nil
}

func (j *job) routeDrifts(ctx context.Context, l *rtnl.Link) (drifts []link.Drift, err error) {
	for _, g := range j.spec.Gateways {
		now, err := rtnl.Defaults(ctx, j.port.Conn, rtnl.Family(g), unix.RT_TABLE_MAIN)
		if err != nil {
			return nil, err
		}
		saved, err := rtnl.Defaults(ctx, j.port.Conn, rtnl.Family(g), savedTable(l.Index))
		if err != nil {
			return nil, err
		}
		what := ""
		if i := slices.IndexFunc(now, oneOf(saved)); i >= 0 { // a call was killed, or somebody put it back
			what = "default route " + now[i].String() + " is back"
		}
		if !slices.ContainsFunc(now, func(r rtnl.Route) bool { return r.Index == l.Index && r.Gateway == g }) {
			what = "default route via " + g.String() + " is gone"
		}
		if what == "" {
			continue
		}
		drifts = append(drifts, link.Drift{What: what, Mend: func(ctx context.Context, _ *link.Undo) error {
			_, err := j.replaceDefault(ctx, l.Index, g)
			return err
		}})
	}
	return drifts, nil
}

// read is the Attachment as the kernel tells it now.
func (j *job) read(ctx context.Context, l *rtnl.Link) (*Attachment, error) {
	l, err := rtnl.LinkByName(ctx, j.port.Conn, l.Name)
	if err != nil {
		return nil, j.fail("link", err)
	}
	out := &Attachment{
		Guest: j.guest.Identity, Name: l.Name, Index: l.Index, Link: j.port.Mark.Link,
		HostName: j.port.HostName, MAC: MAC(l.MAC), MTU: l.MTU,
	}
	addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return nil, j.fail("address", err)
	}
	out.Lease, out.Lease6 = j.readLease(addrs), j.readLease6(addrs)
	for _, a := range addrs {
		if !a.Prefix.Addr().IsLinkLocalUnicast() {
			out.Addrs = append(out.Addrs, a.Prefix)
		}
	}
	if err := j.readRoutes(ctx, out); err != nil {
		return nil, j.fail("route", err)
	}
	return out, nil
}

func (j *job) readRoutes(ctx context.Context, out *Attachment) error {
	for _, family := range families {
		now, err := rtnl.Defaults(ctx, j.port.Conn, family, unix.RT_TABLE_MAIN)
		if err != nil {
			return err
		}
		for _, r := range now {
			if r.Index == out.Index {
				out.Gateways = append(out.Gateways, r.Gateway)
			}
		}
		saved, err := rtnl.Defaults(ctx, j.port.Conn, family, savedTable(out.Index))
		if err != nil {
			return err
		}
		for _, r := range saved {
			out.Displaced = append(out.Displaced, r.String())
		}
	}
	return nil
}
