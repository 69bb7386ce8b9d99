//go:build linux

package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Attach is [Attach] by this Attacher.
func (a *Attacher) Attach(ctx context.Context, t Target, s Spec) (*Attachment, error) {
	s = s.normal()
	j := &job{Attacher: a, op: "attach", spec: s}
	if err := s.validate(); err != nil {
		return nil, j.fail("spec", err)
	}
	if err := j.open(ctx, t); err != nil {
		return nil, err
	}
	defer j.close()
	// Held until all is done or undone: nobody sees, or builds on, what may yet
	// be taken back.
	unlock, err := j.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	out, err := j.attach(ctx)
	if err != nil {
		return nil, j.rollBack(ctx, err)
	}
	return out, nil
}

func (j *job) attach(ctx context.Context) (*Attachment, error) {
	j.log(ctx, "plug")
	return j.goOn(ctx, j.spec.Link.Plug(ctx, &j.port, &j.undo))
}

// goOn does what comes after Plug, which ended with the error plugged.
func (j *job) goOn(ctx context.Context, plugged error) (*Attachment, error) {
	out, err := j.settle(ctx, plugged)
	if err != nil {
		return nil, err
	}
	j.log(ctx, "announce")
	if err := j.announcer.Announce(ctx, &j.port, out.Addrs); err != nil {
		if ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) { // given up, or taken away by somebody
			return nil, j.fail("announce", err)
		}
		j.port.Warn("%v", err)
	}
	if err := j.guest.Alive(); err != nil {
		return nil, j.fail("guest", err)
	}
	out.Warnings = j.port.Warnings
	return out, nil
}

func (j *job) settle(ctx context.Context, err error) (*Attachment, error) {
	if errors.Is(err, fs.ErrExist) {
		return j.again(ctx, err)
	}
	if err != nil {
		return nil, j.fail("link", err)
	}
	return j.configure(ctx)
}

// configure brings the guest's interface up and gives it what the Spec says.
func (j *job) configure(ctx context.Context) (*Attachment, error) {
	if err := j.acceptRA(ctx, j.spec.Name); err != nil { // before the first one can come
		return nil, j.fail("address", err)
	}
	if err := j.mark(ctx); err != nil {
		return nil, j.fail("link", err)
	}
	l, err := j.made(ctx)
	if err != nil {
		return nil, j.fail("link", err)
	}
	j.port.Index, j.port.MAC = l.Index, l.MAC
	j.log(ctx, "address", "index", l.Index)
	for _, p := range j.spec.Addrs {
		if err := j.addAddr(ctx, l, p); err != nil {
			return nil, j.fail("address", err)
		}
	}
	out := j.attachment(l)
	for _, g := range j.spec.Gateways {
		j.log(ctx, "route", "gateway", g)
		displaced, err := j.replaceDefault(ctx, l.Index, g)
		if err != nil {
			return nil, j.fail("route", err)
		}
		out.Displaced = append(out.Displaced, displaced...)
	}
	if j.spec.asks(dhcp.IPv4) {
		if err := j.takeLease(ctx, l, out); err != nil {
			return nil, j.fail("dhcp", err)
		}
	}
	if err := j.dynamic6(ctx, l, out); err != nil {
		return nil, err
	}
	if err := j.addRoutes(ctx, l, out); err != nil {
		return nil, j.fail("route", err)
	}
	if err := j.addRules(ctx, l); err != nil {
		return nil, j.fail("route", err)
	}
	if err := j.shape(ctx, l); err != nil {
		return nil, j.fail("link", err)
	}
	return out, nil
}

// made is the guest's interface. Where its MAC and MTU are known, only its index is
// asked for.
func (j *job) made(ctx context.Context) (*rtnl.Link, error) {
	if !j.port.Made {
		return rtnl.LinkByName(ctx, j.port.Conn, j.spec.Name)
	}
	index, err := j.port.Conn.Index(ctx, j.spec.Name)
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", j.spec.Name, err)
	}
	return &rtnl.Link{Index: index, Name: j.spec.Name, MAC: j.port.MAC, MTU: j.port.MTU}, nil
}

// mark brings the guest's interface up and marks it. One that was not made, but
// moved in, stays in the group that it is in.
func (j *job) mark(ctx context.Context) error {
	set := rtnl.Finish
	if j.port.Mark.IsNIC() {
		set = rtnl.SetLink
	}
	return set(ctx, j.port.Conn, j.spec.Name, j.port.Mark.String())
}

// attachment is what Attach made, without asking the kernel again.
func (j *job) attachment(l *rtnl.Link) *Attachment {
	return &Attachment{
		Guest: j.guest.Identity, Name: l.Name, Index: l.Index, Link: j.spec.Link.String(),
		HostName: j.port.HostName, MAC: MAC(l.MAC), MTU: l.MTU,
		Addrs: slices.Clone(j.spec.Addrs), Gateways: slices.Clone(j.spec.Gateways),
	}
}

// again deals with a guest that has an interface of this name already: it is
// mended when the same Spec made it, and left alone when not.
func (j *job) again(ctx context.Context, taken error) (*Attachment, error) {
	// What Plug created on the way to finding that out is not needed.
	if err := j.undo.Run(ctx); err != nil {
		return nil, j.fail("undo", err)
	}
	l, err := rtnl.LinkByName(ctx, j.port.Conn, j.spec.Name)
	if err != nil {
		return nil, j.fail("link", err)
	}
	mark, ours, err := j.owner(ctx, l)
	switch {
	case err != nil:
		return nil, err
	case mark.Link == link.Unmarked:
		return j.anew(ctx)
	case !ours:
		return nil, j.fail("link", errs.New(fs.ErrExist, "%w, which pipework did not make: choose another name", taken))
	case outdated(mark.Spec):
		return j.takeOver(ctx, l, mark)
	case mark.Spec != j.port.Mark.Spec && j.spec.Add:
		return j.add(ctx, l, mark)
	case mark.Spec != j.port.Mark.Spec:
		return nil, j.fail("link", errs.New(fs.ErrExist, "%w, plugged into %s with other settings: detach it first", taken, mark.Link))
	}
	j.port.Mark.Lease, j.port.Mark.Lease6 = mark.Lease, mark.Lease6
	return j.mend(ctx, l)
}

// anew takes away what a killed call left before it could mark it, and plugs in.
func (j *job) anew(ctx context.Context) (*Attachment, error) {
	j.log(ctx, "remove half-made interface")
	if err := rtnl.DelLink(ctx, j.port.Conn, j.spec.Name); err != nil {
		return nil, j.fail("link", err)
	}
	if err := j.spec.Link.Plug(ctx, &j.port, &j.undo); err != nil {
		return nil, j.fail("link", err)
	}
	return j.configure(ctx)
}

// mend puts right what is not as the Spec says.
func (j *job) mend(ctx context.Context, l *rtnl.Link) (*Attachment, error) {
	j.port.Index, j.port.MAC = l.Index, l.MAC
	drifts, err := j.drifts(ctx, l)
	if err != nil {
		return nil, err
	}
	mended, err := j.mendAll(ctx, drifts)
	if err != nil {
		return nil, err
	}
	out, err := j.refreshed(ctx, l)
	if err != nil {
		return nil, err
	}
	out.Existed, out.Mended = true, mended
	return out, nil
}

// mendAll returns what it mended.
func (j *job) mendAll(ctx context.Context, drifts []link.Drift) (mended []string, err error) {
	for _, d := range drifts {
		j.log(ctx, "mend", "drift", d.What)
		if err := d.Mend(ctx, &j.undo); err != nil {
			return nil, j.fail("link", err)
		}
		mended = append(mended, d.What)
	}
	return mended, nil
}

// refreshed takes up the leases of an interface that is there, and reads what it is.
func (j *job) refreshed(ctx context.Context, l *rtnl.Link) (*Attachment, error) {
	if j.spec.asks(dhcp.IPv4) {
		if err := j.refreshLease(ctx, l); err != nil {
			return nil, j.fail("dhcp", err)
		}
	}
	if err := j.refresh6(ctx, l); err != nil {
		return nil, err
	}
	out, err := j.read(ctx, l)
	if err != nil {
		return nil, err
	}
	if j.lease != nil {
		out.Lease = j.lease
	}
	if j.lease6 != nil {
		out.Lease6 = j.lease6
	}
	return out, nil
}
