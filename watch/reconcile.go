package watch

import (
	"context"
	"errors"
	"io/fs"
	"strings"
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

	longestCalm time.Duration // that a difference has to stay away
	probe       time.Duration // for other hosts, of each comparison
}

// jobTime bounds the work on one interface, a DHCP server's time included.
const jobTime = time.Minute

// reconcile makes a guest's interfaces what is desired. A container whose process has
// ended is not touched until its source says that it started: before that, its new
// process may be there and its runtime not done with it.
func (r *reconciler) reconcile(ctx context.Context, g *guest, n news) result {
	if !n.changed {
		return r.compare(ctx, g)
	}
	r.note(g, n)
	if g.process != nil && g.process.ended() {
		r.cleanup.reapPorts(ctx, g)
		g.clear()
		if g.source != nil && !n.started {
			return result{outcome: gone}
		}
	}
	want, err := r.read(ctx, g)
	if err == nil && n.started && g.source != nil {
		r.queue.peerStarted(ctx, g.ref, g.name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return result{outcome: gone}
	case err != nil:
		return r.failed(ctx, g, "", err)
	case len(want) == 0:
		g.releaseAll()
		return result{outcome: gone}
	}
	g.desired = want
	opened, err := r.open(ctx, g)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notRunning(g)
	case err != nil:
		return r.failed(ctx, g, "", err)
	}
	defer func() { _ = opened.Close() }()
	r.observe(ctx, g, opened, n)
	r.findOrphans(g)
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
			a.lost = true
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

// observe finds what the guest has not any more: one without a process because its
// namespace is another one by now, of which nothing tells. Where it is to compare, also how
// what is there differs from what is declared.
func (r *reconciler) observe(ctx context.Context, g *guest, opened *ns.Guest, n news) {
	if g.process.known() && !n.compare {
		return
	}
	working, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	for name, a := range g.attached {
		s := pipework.Spec{Name: name, Link: a.spec.Link}
		if n.compare {
			s = a.spec
		}
		at, err := r.check(working, opened.Again(), s, n)
		switch {
		case stage.NoInterface(err):
			a.lost = true
		case err == nil && g.isRenamed(ctx, r.log, name, at.Name):
			a.drift.is = nil
		case n.compare && err == nil:
			r.drifted(ctx, g, a, at.Drifts)
			r.warned(ctx, g, name, at.Warnings)
		case n.compare && !stage.NoGuest(err):
			r.uncompared(ctx, g, name, err)
		}
	}
	if n.compare && ctx.Err() == nil { // and to the end
		r.metrics.add("compared_total")
	}
}

// probeTime is how long a comparison looks for other hosts that have an address. Hosts on a
// wire, or in a guest, answer within a few milliseconds. On a machine that has far more to do than
// it can, a comparison may miss one, and the next one tells. It is no more because each of a
// guest's interfaces waits for it, one after the other.
const probeTime = 100 * time.Millisecond

func (r *reconciler) check(ctx context.Context, t pipework.Target, s pipework.Spec, n news) (*pipework.Attachment, error) {
	if !n.compare {
		return r.attacher.check(ctx, t, s)
	}
	a := r.attacher.plugger.Attacher
	a.Probe = r.probe
	return a.Check(ctx, t, s)
}

// warned tells once what a comparison warns of, such as another host that has an address.
func (r *reconciler) warned(ctx context.Context, g *guest, name string, warnings []string) {
	for _, text := range warnings {
		if g.warned.isNew(name+": "+text, time.Now()) {
			r.log.warn(ctx, text, "guest", g.name, "interface", name)
		}
	}
}

// findOrphans finds out of what is lost, or differs, whether a detach did that: its record
// says so before it begins.
func (r *reconciler) findOrphans(g *guest) {
	for _, a := range g.attached {
		a.orphaned = (a.lost || len(a.drift.is) > 0) && r.attacher.orphaned(a)
	}
}

// drifted notes how an interface differs from what is declared, and tells of what has come
// back after it was mended.
func (r *reconciler) drifted(ctx context.Context, g *guest, a *attachment, drifts []string) {
	a.drift.is = drifts
	if again := a.drift.back(r.longestCalm); len(again) > 0 {
		r.log.warn(ctx, "not as declared again, and left so", "guest", g.name, "interface", a.spec.Name, "drift", strings.Join(again, "; "))
	}
	if len(drifts) > 0 && len(a.drift.dealt) >= mostMended && g.unsaid("drift of "+a.spec.Name, "ever new") {
		r.log.warn(ctx, "not as declared in ever new ways, and left so", "guest", g.name, "interface", a.spec.Name, "drift", strings.Join(drifts, "; "))
	}
}

// failed tells why, once, and whether to try again.
func (r *reconciler) failed(ctx context.Context, g *guest, from string, err error) result {
	r.metrics.add("failures_total")
	res := result{}
	if stage.Retryable(err) {
		res = result{failing, leastFailures(err)}
	}
	if ctx.Err() == nil && g.unsaid(from, err.Error()) {
		r.log.warn(ctx, "not plugged in", "guest", g.name, "declared", from, "error", err, "again", res.outcome == failing)
	}
	return res
}

// refuse says once that a declaration is not honoured.
func (r *reconciler) refuse(ctx context.Context, g *guest, from string, err error) {
	if g.unsaid(from, err.Error()) {
		r.metrics.add("refused_total")
		r.log.warn(ctx, "not honoured", "guest", g.name, "declared", from, "error", err)
	}
}
