package watch

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// plug plugs one interface in, or mends it, and sees to its lease.
func (r *run) plug(g *guest, held *ns.Guest, w *wish) (*plug, error) {
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	if err := g.awaitEnd(ctx, w.record.Interface); err != nil {
		return nil, err
	}
	if err := r.finish(ctx, g, w); err != nil {
		return nil, err
	}
	d, err := r.find(ctx, g, w)
	if err != nil {
		return nil, err
	}
	spec := r.plugSpec(g, w, d)
	if w.onlyThere {
		if _, err := r.Check(ctx, held.Again(), pipework.Spec{Name: spec.Name, Link: spec.Link}); err != nil {
			return nil, fmt.Errorf("%w: it is not plugged in again, since another process may have the number by now", err)
		}
	}
	at, stays, err := r.attach(ctx, r.lasting(g, held), spec, d.Program)
	if err != nil {
		return nil, err
	}
	r.tell(g, w, at)
	p := &plug{guest: g.ref, wish: w, declared: d, spec: spec, made: at}
	if stays != nil {
		r.stay(p, stays)
		return p, nil
	}
	return p, r.keep(ctx, p)
}

// plugSpec is the Spec that plugs in what is declared. An interface that is there, and was
// added to, keeps what it has.
func (r *run) plugSpec(g *guest, w *wish, d keep.Declared) pipework.Spec {
	s := d.Spec
	s.Name, s.Add = w.record.Interface, true
	if s.MAC == nil {
		s.DefaultMAC = r.mac(g, w, d)
	}
	return s
}

// lasting is the guest as a Target for whoever works on after it was looked at: one
// without a process is found by its name then.
func (r *run) lasting(g *guest, held *ns.Guest) pipework.Target {
	if g.life.heard() {
		return held.Again()
	}
	return r.target(g.ref)
}

// attach has the program that is declared configure the interface, where none
// has done so yet, or none does any more. One that stays is running then.
func (r *run) attach(ctx context.Context, t pipework.Target, spec pipework.Spec, asked *keep.Program) (*pipework.Attachment, *program.Running, error) {
	wanting, there, err := r.wantsProgram(ctx, t, spec, asked)
	if err != nil {
		return nil, nil, err
	}
	if wanting {
		client := program.Client{Name: asked.Name, Stay: asked.Stay, Resume: there, Options: asked.Options}
		return client.Attach(ctx, &r.Attacher, t, spec)
	}
	at, err := r.Attacher.Attach(ctx, t, spec)
	return at, nil, err
}

// wantsProgram says whether a program is to be started, and whether the interface
// is there: without an address that a program gave it, or without the program that
// is to stay.
func (r *run) wantsProgram(ctx context.Context, t pipework.Target, spec pipework.Spec, asked *keep.Program) (wanting, there bool, err error) {
	if asked == nil {
		return false, false, nil
	}
	at, err := r.Check(ctx, t, pipework.Spec{Name: spec.Name, Link: spec.Link})
	if err != nil {
		return stage.NoInterface(err), false, nil // of the others Attach tells
	}
	given := func(p netip.Prefix) bool { return p.Addr().Is4() && !slices.Contains(spec.Addrs, p) }
	if !slices.ContainsFunc(at.Addrs, given) {
		return true, true, nil
	}
	if !asked.Stay {
		return false, true, nil
	}
	runs, err := program.Runs(ctx, t, spec.Name)
	return !runs, true, err
}

// stay keeps a program at work until the plug is pulled. One that dies is started
// again.
func (r *run) stay(p *plug, stays *program.Running) {
	ctx, cancel := context.WithCancel(r.ctx)
	ended := make(chan struct{})
	p.unkeep, p.ended = cancel, ended
	r.jobs.Go(func() {
		err := stays.Wait(ctx)
		close(ended)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.warn("lease", "guest", p.made.Guest.Name, "interface", p.spec.Name, "error", err)
		if pause.For(ctx, backOff(time.Second, 0)) == nil {
			r.lose(p.guest, p.spec.Name)
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
