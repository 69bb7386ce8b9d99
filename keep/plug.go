package keep

import (
	"context"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/ns"
)

// plug plugs one interface in, or mends it, and sees to its lease.
func (r *run) plug(g *guest, held *ns.Guest, w *wish) (*plug, error) {
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	if err := r.finish(ctx, g, w); err != nil {
		return nil, err
	}
	spec, err := r.spec(ctx, g, w)
	if err != nil {
		return nil, err
	}
	if w.onlyThere {
		if _, err := r.Check(ctx, held.Again(), pipework.Spec{Name: spec.Name, Link: spec.Link}); err != nil {
			return nil, fmt.Errorf("%w: it is not plugged in again, since another process may have the number by now", err)
		}
	}
	at, stays, err := r.attach(ctx, held.Again(), spec, w.line)
	if err != nil {
		return nil, err
	}
	r.tell(g, w, at)
	p := &plug{guest: g.ref, wish: w, spec: spec, made: at}
	if stays != nil {
		r.stay(p, stays)
		return p, nil
	}
	return p, r.keep(ctx, p)
}

// attach has the program that the line names configure the interface, where it is
// not there yet. One that stays is running then.
func (r *run) attach(ctx context.Context, t pipework.Target, spec pipework.Spec, line config.Line) (*pipework.Attachment, *program.Running, error) {
	asked, err := line.DHCPConfig()
	if err != nil {
		return nil, nil, err
	}
	if asked.Program != "" {
		if _, err := r.Check(ctx, t, pipework.Spec{Name: spec.Name, Link: spec.Link}); noInterface(err) {
			client := program.Client{Name: asked.Program, Stay: asked.Foreground, Options: asked.Options}
			return client.Attach(ctx, &r.Attacher, t, spec)
		}
	}
	at, err := r.Attacher.Attach(ctx, t, spec)
	return at, nil, err
}

// stay keeps a program at work until the plug is pulled.
func (r *run) stay(p *plug, stays *program.Running) {
	ctx, cancel := context.WithCancel(r.ctx)
	p.unkeep = cancel
	r.jobs.Go(func() {
		if err := stays.Wait(ctx); err != nil && ctx.Err() == nil {
			r.warn("lease", "interface", p.spec.Name, "error", err)
		}
	})
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

// keep has the leases kept.
func (r *run) keep(ctx context.Context, p *plug) error {
	var ends []func()
	for _, kept := range r.KeptAll(r.target(p.guest), p.spec, p.made) {
		kept.Event = func(e dhcp.Event) { r.leaseEvent(p, e) }
		end, err := r.keeper.Add(ctx, kept)
		if err != nil {
			for _, end := range ends {
				end()
			}
			return err
		}
		ends = append(ends, end)
	}
	if len(ends) > 0 {
		p.unkeep = func() {
			for _, end := range ends {
				end()
			}
		}
	}
	return nil
}

func (r *run) leaseEvent(p *plug, e dhcp.Event) {
	r.metrics.add("leases_total", "event", string(e.Kind))
	switch e.Kind {
	case dhcp.Renewed:
	case dhcp.Ended:
		r.lose(p.guest, e.Interface)
	default:
		r.warn("lease "+string(e.Kind), "guest", e.Guest, "interface", e.Interface, "reason", e.Reason)
	}
}

// lose has a guest looked at whose interface, or whose process, is no more.
func (r *run) lose(k ref, name string) {
	r.rouse(k, func(g *guest) { g.lost = append(g.lost, name) })
}
