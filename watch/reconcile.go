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

// A reconciler makes a guest's interfaces what is desired: it observes, plans and applies.
type reconciler struct {
	attacher *attacher
	queue    *queue
	cleanup  *cleanup
	exits    *exits
	records  *records
	desired  *declarations
	metrics  *metrics
	log      logger
}

// jobTime bounds the work on one interface, a DHCP server's time included.
const jobTime = time.Minute

// reconcile makes a guest's interfaces what is desired. A container whose process has
// ended is not touched until its source says that it started: before that, its new
// process may be there and its runtime not done with it.
func (r *reconciler) reconcile(ctx context.Context, g *guest, n news) result {
	r.note(g, n)
	if g.process != nil && g.process.ended() {
		r.cleanup.reapPorts(ctx, g)
		g.clear()
		if g.source != nil && !n.started {
			return result{outcome: gone}
		}
	}
	want, err := r.read(ctx, g)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return result{outcome: gone}
	case err != nil:
		return r.failed(ctx, g, "", err)
	case len(want) == 0:
		g.releaseAll()
		return result{outcome: gone}
	}
	opened, err := r.open(ctx, g)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notRunning(g)
	case err != nil:
		return r.failed(ctx, g, "", err)
	}
	defer func() { _ = opened.Close() }()
	r.observe(ctx, g, opened)
	return r.apply(ctx, g, opened, plan(g.observed(), want), want)
}

// note takes the news of a guest.
func (r *reconciler) note(g *guest, n news) {
	if n.started {
		g.restarted()
	}
	if len(n.lost) > 0 {
		r.records.invalidate() // perhaps by a detach
	}
	for _, name := range n.lost {
		if a := g.attached[name]; a != nil {
			a.lost, a.orphaned = true, r.attacher.orphaned(a)
		}
	}
}

// read is what is desired for the guest.
func (r *reconciler) read(ctx context.Context, g *guest) (map[string]*desired, error) {
	d, err := r.desired.of(ctx, g.ref)
	if err != nil {
		return nil, err
	}
	g.name = d.name
	r.queue.called(g.ref, d.name)
	for _, refused := range d.refused {
		r.refuse(ctx, g, refused.From, refused.Err)
	}
	return d.desired, nil
}

// open holds the guest open, and hears from now on when its process ends.
func (r *reconciler) open(ctx context.Context, g *guest) (*ns.Guest, error) {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	opened, err := r.attacher.target(g.ref).Open(ctx)
	if err != nil || g.process != nil {
		return opened, err
	}
	if g.process, err = r.exits.watch(opened, g.ref); err != nil {
		_ = opened.Close()
		return nil, err
	}
	return opened, nil
}

// notRunning is for a guest that does not run. A source tells when it starts; others
// are looked for, again and again, if they can ever come back.
func notRunning(g *guest) result {
	if g.source == nil && !ns.ParseRef(g.id).Ephemeral() {
		return result{outcome: failing}
	}
	return result{outcome: gone}
}

// observe finds what a guest without a process has not any more, because its namespace is
// another one by now: of that nothing tells.
func (r *reconciler) observe(ctx context.Context, g *guest, opened *ns.Guest) {
	if g.process.known() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	for name, a := range g.attached {
		if _, err := r.attacher.plugger.Check(ctx, opened.Again(), pipework.Spec{Name: name, Link: a.spec.Link}); stage.NoInterface(err) {
			a.lost = true
		}
	}
}

// apply does what is planned, and then writes down what was attached.
func (r *reconciler) apply(ctx context.Context, g *guest, opened *ns.Guest, actions []action, want map[string]*desired) result {
	var todo []action
	for _, a := range actions {
		switch a.verb {
		case attach:
			todo = append(todo, a)
		case mend:
			g.release(a.name)
			todo = append(todo, a)
		case retain:
			g.attached[a.name].restarted = false
		case release:
			g.release(a.name)
		case hold:
			g.release(a.name)
			g.detached[a.name] = true
		}
	}
	made, res := r.attachAll(ctx, g, opened, todo, want)
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

// attachAll attaches what is to be attached or mended. What is not, because the guest has
// ended meanwhile, or the run does, is no failure.
func (r *reconciler) attachAll(ctx context.Context, g *guest, opened *ns.Guest, todo []action, want map[string]*desired) (made []*attachment, res result) {
	for _, a := range todo {
		begun := time.Now()
		now, err := r.attacher.attach(ctx, g, opened, want[a.name])
		switch {
		case err == nil:
			g.attached[a.name] = now
			made = append(made, now)
			r.metrics.observe(time.Since(begun))
		case ctx.Err() != nil, opened.Alive() != nil:
			return nil, result{}
		default:
			res = res.and(r.failed(ctx, g, want[a.name].from, err))
		}
	}
	return made, res
}

// failed tells why, once, and whether to try again.
func (r *reconciler) failed(ctx context.Context, g *guest, from string, err error) result {
	r.metrics.add("failures_total")
	res := result{}
	if stage.Retryable(err) {
		res = result{failing, leastFailures(err)}
	}
	if ctx.Err() == nil && g.said[from] != err.Error() {
		g.said[from] = err.Error()
		r.log.warn(ctx, "not plugged in", "guest", g.name, "declared", from, "error", err, "again", res.outcome == failing)
	}
	return res
}

// refuse says once that a declaration is not honoured.
func (r *reconciler) refuse(ctx context.Context, g *guest, from string, err error) {
	if g.said[from] == err.Error() {
		return
	}
	g.said[from] = err.Error()
	r.metrics.add("refused_total")
	r.log.warn(ctx, "not honoured", "guest", g.name, "declared", from, "error", err)
}
