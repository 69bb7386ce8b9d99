package watch

import (
	"context"
	"errors"
	"io/fs"
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

// apply does what is planned, and then writes down what was attached.
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
	made, res := r.attachAll(ctx, g, opened, todo)
	for _, a := range made {
		if err := r.attacher.record(ctx, a); err != nil {
			g.release(a.spec.Name)
			if errors.Is(err, errDetached) {
				g.detached[a.spec.Name] = true
			}
			res = res.and(r.failed(ctx, g, a.desired.from, err))
		}
	}
	return res
}

// keepOn keeps what could not be mended, with the leases that it has by now: they have
// changed since it was attached, and what a server refuses to extend is gone. It counts as
// mended where that may never succeed.
func (r *reconciler) keepOn(ctx context.Context, g *guest, opened *ns.Guest, was *attachment, failed result) {
	working, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	at, err := r.attacher.plugger.Check(working, opened.Again(), pipework.Spec{Name: was.spec.Name, Link: was.spec.Link})
	if err != nil {
		return
	}
	now := *was
	now.made, now.unkeep, now.ended = withLeases(at), nil, nil
	if failed.outcome != failing {
		now.drift = was.drift.all(left)
	}
	if r.attacher.leases.keep(ctx, r.attacher.target(g.ref), &now) == nil {
		g.attached[now.spec.Name] = &now
	}
}

// attachAll attaches what is to be attached or mended. What is not, because the guest has
// ended meanwhile, or the run does, is no failure.
func (r *reconciler) attachAll(ctx context.Context, g *guest, opened *ns.Guest, todo []task) (made []*attachment, res result) {
	for _, t := range todo {
		begun := time.Now()
		now, err := r.attacher.attach(ctx, g, opened, t.desired)
		switch {
		case err == nil:
			if t.was != nil && t.was.desired.text == t.desired.text && now.made.Existed {
				now.drift.dealt = t.was.drift.all(mended).dealt
			}
			g.attached[now.spec.Name] = now
			made = append(made, now)
			r.metrics.observe(time.Since(begun))
		case ctx.Err() != nil, opened.Alive() != nil:
			return nil, result{}
		default:
			res = res.and(r.notAttached(ctx, g, opened, t, err))
		}
	}
	return made, res
}

// notAttached deals with what failed. What is only to be mended is kept on; where something
// is in its way, that is itself, which does not end by trying again.
func (r *reconciler) notAttached(ctx context.Context, g *guest, opened *ns.Guest, t task, err error) result {
	onlyDrifted := t.was != nil && t.was.onlyDrifted(t.desired)
	if onlyDrifted && stage.Is(err, pipework.StageLink) && errors.Is(err, fs.ErrExist) {
		err = errs.New(fs.ErrInvalid, "%w", err)
	}
	failed := r.failed(ctx, g, t.desired.from, err)
	if onlyDrifted {
		r.keepOn(ctx, g, opened, t.was, failed)
	}
	return failed
}
