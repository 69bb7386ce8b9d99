//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Attach is [Attach] by this Attacher.
func (a *Attacher) Attach(ctx context.Context, t Target, s Spec) (*Attachment, error) {
	out := make([]*Attachment, 1)
	failed := a.attachAll(ctx, []Job{{t, s}}, out)
	return out[0], failed[0]
}

// AttachAll is [AttachAll] by this Attacher.
func (a *Attacher) AttachAll(ctx context.Context, jobs []Job) ([]*Attachment, error) {
	out := make([]*Attachment, len(jobs))
	return out, a.attachAll(ctx, jobs, out).orNil()
}

func (a *Attacher) attachAll(ctx context.Context, jobs []Job, out []*Attachment) JobErrors {
	return a.all(ctx, "attach", jobs, func(ctx context.Context, round []*item) {
		parallel(round, func(i *item) {
			if i.tryLock(ctx); i.ready() {
				i.err = finder{&i.job}.refuseTwin(ctx)
			}
		})
		for _, batch := range batches(round) {
			if backend, ok := batch[0].spec.Link.(link.BatchPlugger); ok && len(batch) > 1 {
				together(batch, func(calls []*link.Call) { backend.PlugAll(ctx, calls) })
			}
		}
		parallel(round, func(i *item) { out[i.index] = i.attach(ctx) })
	})
}

// attach does what is left of the item's work. The lock is held until all is done or
// undone: nobody sees, or builds on, what may yet be taken back.
func (i *item) attach(ctx context.Context) *Attachment {
	if i.err == nil && i.unlock == nil {
		if i.unlock, i.err = i.lock(ctx); i.err == nil {
			i.err = finder{&i.job}.refuseTwin(ctx)
		}
	}
	if i.unlock != nil {
		defer i.unlock()
	}
	if i.err != nil {
		return nil
	}
	i.warnOfContainer()
	var plugged error
	if i.call != nil {
		plugged = i.call.Err
	} else {
		i.log(ctx, "plug")
		plugged = i.spec.Link.Plug(ctx, &i.port, &i.undo)
	}
	out, err := i.plugged(ctx, plugged)
	if err != nil {
		i.err = i.rollBack(ctx, err)
		return nil
	}
	return out
}

// plugged does what comes after Plug, which ended with err.
func (j *job) plugged(ctx context.Context, err error) (out *Attachment, _ error) {
	switch {
	case errors.Is(err, fs.ErrExist):
		out, err = j.again(ctx, err)
	case err != nil:
		err = finder{j}.asTwin(ctx, j.fail(StageLink, err))
	default:
		out, err = j.apply(ctx)
	}
	if err != nil {
		return nil, err
	}
	return out, j.end(ctx, out, out.Addrs)
}

// end announces addresses, and is the end of a change that left the interface as out. One that
// has ended stays so.
func (j *job) end(ctx context.Context, out *Attachment, addrs []netip.Prefix) error {
	if j.ended {
		return nil
	}
	j.log(ctx, "announce")
	if err := j.announcer.Announce(ctx, &j.port, addrs, j.Probe); err != nil {
		if ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) { // given up, or taken away by somebody
			return j.fail(StageAnnounce, err)
		}
		j.port.Warn("%v", err)
	}
	if err := j.guest.Alive(); err != nil {
		return j.fail(StageGuest, err)
	}
	out.Warnings, out.Namespace, j.ended = j.port.Warnings, j.instance(ctx), true
	return nil
}

// instance is the guest's namespace, as it can be told from later ones. What is not known of
// it is no reason to fail.
func (j *job) instance(ctx context.Context) *ns.Instance {
	id, err := rtnl.Number(fault.Off(ctx), j.host.Conn, j.guest.Handle)
	if err != nil {
		id = -1
	}
	return &ns.Instance{Boot: ns.BootID(), Inode: j.guest.Inode(), Cookie: j.port.Conn.Cookie(), NSID: id}
}

// attachment is what the parts know, without asking the kernel again.
func (j *job) attachment() *Attachment {
	s, l := &j.site, j.site.Link
	return &Attachment{
		Guest: j.guest.Identity, Name: l.Name, Index: l.Index, Link: j.port.Mark.Link,
		HostName: j.port.HostName, MAC: MAC(l.MAC), MTU: l.MTU,
		Addrs: append([]netip.Prefix{}, s.Addrs...), Gateways: s.Gateways, Displaced: told.Of(s.Displaced), Saved: saved(j), Lease: s.Lease, Lease6: s.Lease6,
	}
}

// read is the Attachment as the kernel tells it now.
func (j *job) read(ctx context.Context) (*Attachment, error) {
	if err := j.site.Read(ctx); err != nil {
		return nil, j.fail(StageLink, err)
	}
	return j.attachment(), nil
}

// again deals with a guest that has an interface of this name already: it is
// mended when the same Spec made it, and left alone when not.
func (j *job) again(ctx context.Context, taken error) (*Attachment, error) {
	// What Plug created on the way to finding that out is not needed.
	if err := j.undo.Run(ctx); err != nil {
		return nil, j.fail(StageUndo, err)
	}
	l, err := rtnl.LinkByName(ctx, j.port.Conn, j.spec.Name)
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	mark, ours, err := finder{j}.owner(ctx, l)
	asked := j.port.Mark
	switch {
	case err != nil:
		return nil, err
	case mark.Link == link.Unmarked:
		return j.anew(ctx)
	case !ours:
		return nil, j.fail(StageLink, errs.New(fs.ErrExist, "%w, which pipework did not make: choose another name", taken))
	case mark.Spec != asked.Spec && !outdated(mark.Spec) && !j.spec.Add:
		return nil, j.fail(StageLink, errs.New(fs.ErrExist, "%w, plugged into %s with other settings: detach it first", taken, mark.Link))
	case mark.Spec != asked.Spec && mark.Link != asked.Link:
		return nil, j.inUse("it is plugged into " + mark.Link)
	}
	j.here(l, mark)
	switch {
	case outdated(mark.Spec):
		return j.takeOver(ctx, asked)
	case mark.Spec != asked.Spec:
		return j.add(ctx)
	}
	j.port.Mark = asked
	j.port.Mark.Lease, j.port.Mark.Lease6 = mark.Lease, mark.Lease6
	return j.reattach(ctx)
}

// here says that the interface is l, which bears the mark.
func (j *job) here(l *rtnl.Link, mark link.Mark) {
	j.port.Name, j.port.Index, j.port.MAC, j.port.Mark = l.Name, l.Index, l.MAC, mark
	j.site.Link = l
}

// anew takes away what a killed call left before it could mark it, and plugs in.
func (j *job) anew(ctx context.Context) (*Attachment, error) {
	if j.plan != nil {
		j.plan.add("remove the half-made interface %s", j.spec.Name)
		return planner{j}.fresh(ctx)
	}
	j.log(ctx, "remove half-made interface")
	if err := rtnl.DelLink(ctx, j.port.Conn, j.spec.Name); err != nil {
		return nil, j.fail(StageLink, err)
	}
	if err := j.spec.Link.Plug(ctx, &j.port, &j.undo); err != nil {
		return nil, j.fail(StageLink, err)
	}
	return j.apply(ctx)
}

// reattach puts right what is not as the Spec says.
func (j *job) reattach(ctx context.Context) (*Attachment, error) {
	missing, _, err := j.compare(ctx)
	if err != nil {
		return nil, err
	}
	if why := toRecreate(missing); why != "" {
		return recreater{j}.same(ctx, why)
	}
	return j.mendAnd(ctx, missing)
}

// mendAnd puts right what differs, takes up the leases, and reads what the interface is.
func (j *job) mendAnd(ctx context.Context, differs []drift) (*Attachment, error) {
	if len(differs) > 0 || j.spec.DHCP != nil {
		if err := j.keep(ctx); err != nil {
			return nil, err
		}
	}
	mended, err := j.mend(ctx, differs)
	if err != nil {
		return nil, err
	}
	if len(mended) > 0 { // the MAC may be another
		if _, err := j.read(ctx); err != nil {
			return nil, err
		}
	}
	if err := j.refresh(ctx); err != nil {
		return nil, err
	}
	out, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	out.Existed, out.Mended = true, mended
	return out, nil
}

// keep sees to it that addresses and routes come back after a failure. It is needed where
// something differs, or a server may have something else by now.
func (j *job) keep(ctx context.Context) error {
	if j.plan != nil {
		return nil
	}
	if err := j.site.Keep(ctx); err != nil {
		return j.fail(StageRoute, err)
	}
	return nil
}

// inUse refuses to change the interface.
func (j *job) inUse(why string) error {
	return j.fail(StageLink, errs.New(fs.ErrExist, "the guest has an interface %s already, and not as this asks (%s): detach it first", j.spec.Name, why))
}
