package watch

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// An attacher attaches one interface of a guest as is desired, and records it.
type attacher struct {
	plugger *keep.Plugger
	leases  *leases
	cleanup *cleanup
	permits config.Declarations // what containers may ask for
	machine string
	metrics *metrics
	log     logger
}

// attach attaches one interface, or mends it, sees to its lease, and writes it down. Its record
// is locked meanwhile: a detach comes before or after all of it. What is attached is returned
// also where it could not be written down.
func (a *attacher) attach(ctx context.Context, g *guest, opened *ns.Guest, t task) (*attachment, error) {
	working, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := g.awaitEnd(working, t.desired.record.Interface); err != nil {
		return nil, err
	}
	unlock, err := a.lock(working, g, t)
	if err != nil {
		return nil, err
	}
	defer unlock()
	now, err := a.plugIn(ctx, working, g, opened, t.desired)
	if err != nil {
		return nil, err
	}
	return now, a.record(now)
}

// plugIn attaches one interface, or mends it, in the time that working has, and keeps its lease
// until ctx ends.
func (a *attacher) plugIn(ctx, working context.Context, g *guest, opened *ns.Guest, want *desired) (*attachment, error) {
	d, err := a.resolve(working, g, want)
	if err != nil {
		return nil, err
	}
	now := &attachment{guest: g.ref, desired: want, declared: d, spec: a.spec(g, want, d)}
	there, err := a.check(working, opened.Again(), pipework.Spec{Name: now.spec.Name, Link: now.spec.Link})
	switch {
	case err == nil && g.isRenamed(ctx, a.log, now.spec.Name, there.Name):
		there.Existed, now.made = true, withLeases(there)
		return now, a.leases.keep(ctx, a.target(g.ref), now)
	case err == nil && want.byContainer:
		now.spec.Saved = a.savedOf(want)
	case err != nil && want.mendOnly:
		return nil, fmt.Errorf("%w: it is not plugged in again, since another process may have the number by now", err)
	}
	if err != nil {
		a.detachFormer(working, g, opened, want)
	}
	var running *program.Running
	if now.made, running, err = a.configure(working, a.later(g, opened), now.spec, d.Program); err != nil {
		return nil, err
	}
	now.spec.Saved = now.made.Saved
	a.tell(ctx, g, want, now.made)
	if running != nil {
		a.leases.keepProgram(ctx, now, running)
		return now, nil
	}
	return now, a.leases.keep(ctx, a.target(g.ref), now)
}

// savedOf are the displaced routes that the record has of what a container declares.
func (a *attacher) savedOf(want *desired) [][]byte {
	if a.plugger.Store == nil {
		return nil
	}
	r, err := a.plugger.Store.Get(want.record.Guest, want.record.Interface)
	if err != nil {
		return nil // of which the Store tells
	}
	return r.Saved
}

// detachFormer takes away what the guest had in a network namespace that it has no more.
func (a *attacher) detachFormer(ctx context.Context, g *guest, opened *ns.Guest, want *desired) {
	found, err := a.plugger.DetachFormer(ctx, opened, want.record.Guest, want.record.Interface)
	if err != nil {
		a.log.warn(ctx, "not taken away", "guest", g.name, "interface", want.record.Interface, "error", err)
	} else if found {
		a.log.info("taken from the network namespace that the guest had before", "guest", g.name, "interface", want.record.Interface)
	}
}

// later is the guest as a Target that is opened after it was reconciled, too: one without a
// process is found by its name then.
func (a *attacher) later(g *guest, opened *ns.Guest) pipework.Target {
	if g.process.known() {
		return opened.Again()
	}
	return a.target(g.ref)
}

// target is the guest.
func (a *attacher) target(k ref) pipework.Target {
	if k.source != nil {
		return k.source.Container(k.id)
	}
	return a.plugger.Target(ns.ParseRef(k.id))
}

// check is [pipework.Check], which does not look for other hosts that have an address.
func (a *attacher) check(ctx context.Context, t pipework.Target, s pipework.Spec) (*pipework.Attachment, error) {
	quiet := a.plugger.Attacher
	quiet.Probe = 0
	return quiet.Check(ctx, t, s)
}

// configure configures the interface, and recreates one that has to be, as is declared.
func (a *attacher) configure(ctx context.Context, t pipework.Target, spec pipework.Spec, asked *keep.Program) (*pipework.Attachment, *program.Running, error) {
	at, running, err := a.configureOnce(ctx, t, spec, asked)
	if !stage.Stale(err) {
		return at, running, err
	}
	if at, err = a.plugger.Attacher.Update(ctx, t, spec); err != nil || asked == nil {
		return at, nil, err
	}
	return a.configureOnce(ctx, t, spec, asked)
}

// configureOnce has the program that is declared configure the interface, where none
// has done so yet, or none does any more. One that stays is running then.
func (a *attacher) configureOnce(ctx context.Context, t pipework.Target, spec pipework.Spec, asked *keep.Program) (*pipework.Attachment, *program.Running, error) {
	needed, there, err := a.needsProgram(ctx, t, spec, asked)
	if err != nil {
		return nil, nil, err
	}
	if needed {
		client := program.Client{Name: asked.Name, Stay: asked.Stay, Resume: there, Options: asked.Options}
		return client.Attach(ctx, &a.plugger.Attacher, t, spec)
	}
	at, err := a.plugger.Attacher.Attach(ctx, t, spec)
	return at, nil, err
}

// needsProgram says whether a program is to be started, and whether the interface
// is there: without an address that a program gave it, or without the program that
// is to stay.
func (a *attacher) needsProgram(ctx context.Context, t pipework.Target, spec pipework.Spec, asked *keep.Program) (needed, there bool, err error) {
	if asked == nil {
		return false, false, nil
	}
	at, err := a.check(ctx, t, pipework.Spec{Name: spec.Name, Link: spec.Link})
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

// tell says what was done, and what to do about it.
func (a *attacher) tell(ctx context.Context, g *guest, want *desired, at *pipework.Attachment) {
	done := "plugged in"
	switch {
	case !at.Existed:
		a.metrics.add("plugged_total")
	case len(at.Mended) > 0:
		a.metrics.add("mended_total")
		done = "mended"
	default:
		a.metrics.add("found_total")
		done = "found as declared"
	}
	a.log.info(done, "guest", g.name, "interface", at.Name, "link", at.Link, "MAC", at.MAC, "addresses", at.Addrs, "declared", want.from)
	delete(g.said, want.from)
	for _, text := range at.Warnings {
		a.log.warn(ctx, text, "guest", g.name, "interface", at.Name)
	}
}
