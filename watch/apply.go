package watch

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/ns"
)

// A task is one interface to attach, or to mend.
type task struct {
	desired *desired
	was     *attachment // what was attached so far; nil: nothing
}

// apply does what is planned, and writes down what was attached.
func (r *reconciler) apply(ctx context.Context, g *guest, opened *ns.Guest, actions []action, want map[string]*desired) result {
	var todo []task
	for _, a := range actions {
		switch a.verb {
		case attach, mend:
			todo = append(todo, task{want[a.name], g.attached[a.name]})
			g.release(a.name)
		case retain:
			g.attached[a.name].restarted = false
		case release:
			g.release(a.name)
		case hold:
			g.release(a.name)
			g.detached[a.name] = true
		}
	}
	slices.SortStableFunc(todo, func(a, b task) int { return a.desired.since().Compare(b.desired.since()) })
	return r.attachAll(ctx, g, opened, todo)
}

// notRecorded deals with what is attached, and could not be written down.
func (r *reconciler) notRecorded(ctx context.Context, g *guest, a *attachment, err error) result {
	if errs.IsUnwritable(err) {
		r.unrecorded(ctx, g, a, err)
		return result{}
	}
	g.release(a.spec.Name)
	return r.failed(ctx, g, a.desired.from, err)
}

// unrecorded tells once of what is attached and could not be written down. It stays attached.
func (r *reconciler) unrecorded(ctx context.Context, g *guest, a *attachment, err error) {
	if g.unsaid("record of "+a.spec.Name, err.Error()) {
		r.log.warn(ctx, "attached, and not recorded", "guest", g.name, "interface", a.spec.Name, "error", err)
	}
}

// attachAll attaches what is to be attached or mended. What is not, because the guest has
// ended meanwhile, or the run does, is no failure.
func (r *reconciler) attachAll(ctx context.Context, g *guest, opened *ns.Guest, todo []task) (res result) {
	for _, t := range todo {
		begun := time.Now()
		now, err := r.attacher.attach(ctx, g, opened, t)
		switch {
		case now != nil:
			if t.was != nil && t.was.desired.text == t.desired.text && now.made.Existed {
				now.drift.dealt = t.was.drift.all(mended).dealt
			}
			g.attached[now.spec.Name] = now
			r.metrics.observe(time.Since(begun))
			if err != nil {
				res = res.and(r.notRecorded(ctx, g, now, err))
			}
		case errors.Is(err, errDetached):
			g.detached[t.desired.record.Interface] = true
			res = res.and(r.failed(ctx, g, t.desired.from, err))
		case ctx.Err() != nil, opened.Alive() != nil:
			return result{}
		default:
			res = res.and(r.notAttached(ctx, g, opened, t, err))
		}
	}
	return res
}

// notAttached deals with what failed. What was attached before, and is there, is kept on.
// Where an interface is in its way, that is itself, which does not end by trying again.
func (r *reconciler) notAttached(ctx context.Context, g *guest, opened *ns.Guest, t task, err error) result {
	there := r.stillThere(ctx, opened, t)
	if there == nil {
		return r.failed(ctx, g, t.desired.from, err)
	}
	if stage.Is(err, pipework.StageLink) && errors.Is(err, fs.ErrExist) {
		there.restarted, there.lost = false, false
		err = errs.New(fs.ErrInvalid, "%w", err)
	}
	failed := r.failed(ctx, g, t.desired.from, err)
	r.keepOn(ctx, g, there, failed)
	return failed
}

// stillThere is what was attached before by what is still desired, as it is now; nil: it is
// not there.
func (r *reconciler) stillThere(ctx context.Context, opened *ns.Guest, t task) *attachment {
	if t.was == nil || t.was.desired.text != t.desired.text {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	at, err := r.attacher.check(ctx, opened.Again(), pipework.Spec{Name: t.was.spec.Name, Link: t.was.spec.Link})
	if err != nil {
		return nil
	}
	return t.was.as(at)
}

// keepOn keeps an attachment that could not be mended. What differs counts as dealt with
// where that may never succeed.
func (r *reconciler) keepOn(ctx context.Context, g *guest, a *attachment, failed result) {
	if failed.outcome != failing {
		a.drift = a.drift.all(left)
	}
	if r.attacher.leases.keep(ctx, r.attacher.target(g.ref), a) == nil {
		g.attached[a.spec.Name] = a
	}
}
