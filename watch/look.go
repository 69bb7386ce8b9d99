package watch

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/ns"
)

// look makes a guest's interfaces what is declared. A container whose process has
// ended is not touched until its source says that it started: before that, its new
// process may be there and its runtime not done with it.
func (r *run) look(g *guest) verdict {
	if g.life != nil && g.life.over() {
		r.buryPorts(g)
		g.clear()
		if g.source != nil && !g.started {
			return over
		}
	}
	wanted, err := r.wanted(g)
	if errors.Is(err, fs.ErrNotExist) {
		return over
	}
	if err != nil {
		return r.failed(g, "", err)
	}
	for name, p := range g.plugged {
		w, still := wanted[name]
		if still && w.text == p.wish.text {
			continue
		}
		if still && w.declared && !p.wish.declared { // and what was typed over it was detached
			g.left[name] = true
		}
		g.unplugged(name)
	}
	if len(wanted) == 0 {
		return over
	}
	held, err := r.open(g)
	if errors.Is(err, fs.ErrNotExist) {
		return r.absent(g)
	}
	if err != nil {
		return r.failed(g, "", err)
	}
	defer func() { _ = held.Close() }()
	if !g.life.heard() {
		r.missing(g, held)
	}
	return r.plugAll(g, held, wanted)
}

// missing finds what is not plugged in any more, because the namespace is another
// one by now: of one without a process nobody tells.
func (r *run) missing(g *guest, held *ns.Guest) {
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	for name, p := range g.plugged {
		if _, err := r.Check(ctx, held.Again(), pipework.Spec{Name: name, Link: p.spec.Link}); stage.NoInterface(err) {
			g.unplugged(name)
		}
	}
}

// open holds the guest open, and hears from now on when its process ends.
func (r *run) open(g *guest) (*ns.Guest, error) {
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	held, err := r.target(g.ref).Open(ctx)
	if err != nil || g.life != nil {
		return held, err
	}
	if g.life, err = r.deaths.watch(held, g.ref); err != nil {
		_ = held.Close()
		return nil, err
	}
	return held, nil
}

func (r *run) target(k ref) pipework.Target {
	if k.source != nil {
		return k.source.Container(k.id)
	}
	return r.Target(ns.ParseRef(k.id))
}

// absent is for a guest that does not run. A source tells when it starts; others
// are looked for, again and again, if they can ever come back.
func (r *run) absent(g *guest) verdict {
	if g.source == nil && !ns.ParseRef(g.id).Ephemeral() {
		return failing
	}
	return over
}

// plugAll plugs in what is wanted and not plugged in yet, and then writes it down.
func (r *run) plugAll(g *guest, held *ns.Guest, wanted map[string]*wish) verdict {
	v := settled
	var made []*plug
	for _, name := range inOrder(wanted) {
		if g.plugged[name] != nil || wanted[name].declared && g.left[name] {
			continue
		}
		begun := time.Now()
		p, err := r.plug(g, held, wanted[name])
		switch {
		case err == nil:
			g.plugged[name] = p
			made = append(made, p)
			r.metrics.observe(time.Since(begun))
		case r.ctx.Err() != nil, held.Alive() != nil:
			return settled // it ended meanwhile, or we do
		case r.failed(g, wanted[name].from, err) == failing:
			v = failing
		}
	}
	for _, p := range made {
		if err := r.record(p); err != nil {
			g.unplugged(p.spec.Name)
			if errors.Is(err, errDetached) {
				g.left[p.spec.Name] = true
			}
			v = max(v, r.failed(g, p.wish.from, err))
		}
	}
	return v
}

// failed tells why, once, and whether to try again.
func (r *run) failed(g *guest, from string, err error) verdict {
	r.metrics.add("failures_total")
	v := settled
	if stage.Retryable(err) {
		v = failing
		r.mu.Lock()
		g.tries = max(g.tries, leastTries(err))
		r.mu.Unlock()
	}
	if r.ctx.Err() == nil && g.said[from] != err.Error() {
		g.said[from] = err.Error()
		r.warn("not plugged in", "guest", g.name, "declared", from, "error", err, "again", v == failing)
	}
	return v
}
