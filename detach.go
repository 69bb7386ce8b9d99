//go:build linux

package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Detach is [Detach] by this Attacher.
func (a *Attacher) Detach(ctx context.Context, t Target, s Spec) (found bool, err error) {
	out := make([]bool, 1)
	failed := a.detachAll(ctx, []Job{{t, s}}, out)
	return out[0], failed[0]
}

// DetachAll is [DetachAll] by this Attacher.
func (a *Attacher) DetachAll(ctx context.Context, jobs []Job) (found []bool, err error) {
	found = make([]bool, len(jobs))
	return found, a.detachAll(ctx, jobs, found).orNil()
}

// detachAll has each job do by itself what can be undone, and then unplugs what can go
// together. No guest's lock is waited for while another's is held.
func (a *Attacher) detachAll(ctx context.Context, jobs []Job, found []bool) JobErrors {
	late, end := finish.Context(ctx)
	defer end()
	return a.all(ctx, "detach", jobs, func(ctx context.Context, round []*item) {
		parallel(round, func(i *item) {
			if i.tryLock(ctx); i.ready() {
				i.err = i.unconfigure(ctx, late)
			}
		})
		for _, batch := range batches(round) {
			if backend, ok := batch[0].spec.Link.(link.BatchUnplugger); ok && len(batch) > 1 {
				together(batch, func(calls []*link.Call) { backend.UnplugAll(late, calls) })
			}
		}
		parallel(round, func(i *item) { found[i.index] = i.detach(ctx, late) })
	})
}

// detach does what is left of the item's work, after whoever has the guest's lock. What
// cannot be undone, the removal of the interface, comes last. It says whether the guest
// had the interface. What has begun is finished: ctx counts until the first change, and
// late from then on.
func (i *item) detach(ctx, late context.Context) (found bool) {
	if i.err == nil && i.unlock == nil {
		if i.unlock, i.err = i.lock(ctx); i.err == nil {
			i.err = i.unconfigure(ctx, late)
		}
	}
	if i.err == nil && i.spec.Link != nil {
		i.err = i.unplug(late)
	}
	if i.err != nil {
		i.err = i.rollBack(late, i.err)
	}
	i.warn(late)
	if i.unlock != nil {
		i.unlock()
	}
	if i.err == nil {
		i.tellRestored()
	}
	return i.site.Link != nil
}

// tellRestored tells of the default routes that are there again.
func (i *item) tellRestored() {
	if i.Restored == nil {
		return
	}
	for _, route := range i.site.Restored {
		i.Restored(i.guest.Identity, i.spec.Name, route)
	}
}

func (i *item) unplug(ctx context.Context) error {
	i.log(ctx, "unplug")
	var err error
	if i.call != nil {
		err = i.call.Err
	} else {
		err = i.spec.Link.Unplug(ctx, &i.port)
	}
	switch {
	case err == nil:
		return nil
	case i.opened:
		err = i.stillThere(ctx, err)
	}
	return i.fail(StageLink, err)
}

// remember fills the port for a guest that is gone.
func (j *job) remember(t Target) {
	j.port = link.Port{Host: j.host, Name: j.spec.Name, Force: j.spec.Force}
	j.port.Mark = link.Mark{Link: j.spec.Link.String(), Interface: j.spec.Name, Guest: remembered(t)}
}

// remembered is what is known of a guest that is gone, as its marks tell it.
func remembered(t Target) ns.Identity {
	switch t := t.(type) {
	case ns.PID:
		return ns.Identity{PID: int(t)}
	case ns.Named:
		return ns.Identity{Name: ns.Ref{Kind: ns.Netns, Name: string(t)}.String()}
	}
	return ns.Identity{Name: fmt.Sprint(t)} // a path, a container's name
}

// warn tells the log, which Detach has instead of a result.
func (j *job) warn(ctx context.Context) {
	for _, text := range j.port.Warnings {
		if j.Log != nil {
			j.Log.WarnContext(ctx, text)
		}
	}
}

// unconfigure does what can be undone, and finds the backend. Of an interface that is
// gone already only what it left is taken away; in a guest that is gone, nothing. It is
// the last to ask whether ctx has ended.
func (i *item) unconfigure(ctx, late context.Context) error {
	if i.opened {
		l, err := finder{&i.job}.find(ctx)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		i.site.Link = l
	}
	if err := context.Cause(ctx); err != nil {
		return i.fail(StageInterface, err)
	}
	if !i.opened {
		return nil
	}
	return i.remove(late)
}

// stillThere forgets the way back when the interface is gone although its
// removal failed at something else: then there is nothing to return to, and the
// next Detach does the rest.
func (j *job) stillThere(ctx context.Context, err error) error {
	if j.gone(ctx) {
		j.undo = link.Undo{}
	}
	return err
}

// gone says that the guest has not the interface any more, whatever it was called.
func (j *job) gone(ctx context.Context) bool {
	_, err := rtnl.LinkByName(fault.Off(ctx), j.port.Conn, j.port.Name)
	return errors.Is(err, fs.ErrNotExist)
}
