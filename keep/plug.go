package keep

import (
	"context"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/ns"
)

// plug plugs one interface in, or mends it, and sees to its lease.
func (r *run) plug(g *guest, held *ns.Guest, w *wish) (*plug, error) {
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	spec, err := r.spec(ctx, g, w)
	if err != nil {
		return nil, err
	}
	if w.onlyThere {
		if _, err := r.Check(ctx, held.Again(), pipework.Spec{Name: spec.Name, Link: spec.Link}); err != nil {
			return nil, fmt.Errorf("%w: it is not plugged in again, since another process may have the number by now", err)
		}
	}
	at, err := r.Attacher.Attach(ctx, held.Again(), spec)
	if err != nil {
		return nil, err
	}
	r.tell(g, w, at)
	p := &plug{guest: g.ref, wish: w, spec: spec, made: at}
	if spec.DHCP != nil && at.Lease != nil {
		p.unkeep, err = r.keep(ctx, p)
	}
	return p, err
}

// tell says what was done, and what to do about it.
func (r *run) tell(g *guest, w *wish, at *pipework.Attachment) {
	done := "plugged in"
	switch {
	case !at.Existed:
		r.metrics.add("plugged_total")
	case len(at.Mended) > 0:
		r.metrics.add("mended_total")
		done = "mended"
	default:
		r.metrics.add("found_total")
		done = "found as declared"
	}
	r.info(done, "guest", g.name, "interface", at.Name, "link", at.Link, "MAC", at.MAC, "addresses", at.Addrs, "declared", w.from)
	delete(g.said, w.from)
	for _, text := range at.Warnings {
		r.warn(text, "guest", g.name, "interface", at.Name)
	}
}

// keep has the lease kept.
func (r *run) keep(ctx context.Context, p *plug) (func(), error) {
	kept := r.Kept(r.target(p.guest), p.spec, p.made)
	kept.Event = func(e dhcp.Event) {
		r.metrics.add("leases_total", "event", string(e.Kind))
		switch e.Kind {
		case dhcp.Renewed:
		case dhcp.Ended:
			r.lose(p.guest, e.Interface)
		default:
			r.warn("lease "+string(e.Kind), "guest", e.Guest, "interface", e.Interface, "reason", e.Reason)
		}
	}
	return r.keeper.Add(ctx, kept)
}

// lose has a guest looked at whose interface, or whose process, is no more.
func (r *run) lose(k ref, name string) {
	r.rouse(k, func(g *guest) { g.lost = append(g.lost, name) })
}
