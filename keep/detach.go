package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// DetachOptions are what a record does not say. The zero value is what most need.
type DetachOptions struct {
	// DryRun changes nothing: the result is what would be detached, its Attachment with the
	// default routes that would be put back.
	DryRun bool
	// Force takes away what is in the place of a NIC of the host's, where the NIC
	// itself cannot be had back; see [pipework.Spec].
	Force bool
	// ResolvConf is a file that has what a lease wrote into it taken out, too; "": only
	// the one that is recorded has.
	ResolvConf string

	declared bool // what is only called so in the guest, and is declared as another, stays
}

// Detach unplugs the interface called name from the guest, and forgets it; ""
// stands for eth1, or for the ib0 of an IPoIB that is recorded where the guest has no
// eth1 of ours. It returns what was plugged in, with those of the Displaced default routes
// that are back, see [pipework.Attacher].Restored;
// without Attachment there was nothing but the record, which is forgotten. Where
// there was neither, the result is nil. After an error the record is what it was.
//
// Where nothing can be written, since the Store is on a file system that is read-only or full,
// Detach takes away all the same; the record may stay then, which the log is warned of.
//
// Where ctx ends before the first change, Detach stops; what has begun is finished, for up
// to ten seconds, and is no error then.
func (p *Plugger) Detach(ctx context.Context, guest ns.Ref, name string, opts DetachOptions) (*Record, error) {
	if name != "" {
		return p.detachTelling(ctx, guest, name, opts)
	}
	opts.declared = true
	r, err := p.detachTelling(ctx, guest, pipework.DefaultName, opts)
	if nothing := err == nil || stage.NoGuest(err) || errors.Is(err, fs.ErrPermission); r == nil && nothing && p.guests().hasIPoIB(ctx, guest) {
		return p.detachTelling(ctx, guest, ipoibName, opts)
	}
	return r, err
}

// detachTelling is detachNamed, whose result has those default routes that are back.
func (p *Plugger) detachTelling(ctx context.Context, guest ns.Ref, name string, opts DetachOptions) (*Record, error) {
	var back []string
	listening := *p
	listening.Restored = func(of ns.Identity, iface, route string) {
		if back = append(back, route); p.Restored != nil {
			p.Restored(of, iface, route)
		}
	}
	r, err := listening.detachNamed(ctx, guest, name, opts)
	if r == nil || r.Attachment == nil || opts.DryRun {
		return r, err
	}
	at := *r.Attachment
	at.Displaced, r.Attachment = told.Of(back), &at
	return r, err
}

// ipoibName is what a line calls an IPoIB interface in the guest.
const ipoibName = "ib0"

// hasIPoIB says whether an IPoIB of that name is recorded of the guest.
func (g guests) hasIPoIB(ctx context.Context, guest ns.Ref) bool {
	all, _ := g.records() // what is wrong with them is told elsewhere
	all = slices.DeleteFunc(all, func(r Record) bool {
		_, is := r.Spec.Link.(link.IPoIB)
		return !is || r.Interface != ipoibName
	})
	return len(all) > 0 && len(g.declaredFor(ctx, all, guest)) > 0
}

// detachNamed is Detach of the interface of this name.
func (p *Plugger) detachNamed(ctx context.Context, guest ns.Ref, name string, opts DetachOptions) (*Record, error) {
	guests := p.guests()
	at, err := plugged(ctx, p.observer(), p.Target(guest), name)
	if stage.NoGuest(err) {
		if byID, ok := guests.renamedGuest(ctx, guest); ok {
			return p.detachNamed(ctx, byID, name, opts)
		}
	}
	absent := detaching(err) // where something is recorded, that decides: the guest makes what it likes of what it has
	now := guests.observe(ctx, guest)
	known, err := guests.recordsFor(ctx, now, name, at)
	if err == nil {
		err = stopped(ctx) // who was looked for in vain may be there
	}
	if err != nil {
		return nil, err
	}
	if others := len(known) > 0 && !slices.ContainsFunc(known, func(r Record) bool { return r.Interface == name }); others && opts.declared {
		return nil, nil
	}
	if len(known) == 0 && at == nil {
		if full, ok := p.Store.fullRef(guest); ok {
			return p.detachNamed(ctx, full, name, opts)
		}
		return nil, absent
	}
	if len(known) == 0 {
		r := Record{Guest: guest, Interface: at.Name, Attachment: at}
		s, err := p.specOf(ctx, &r)
		if err != nil {
			return nil, err
		}
		if opts.DryRun {
			return &r, nil
		}
		s.Force = opts.Force
		return &r, pullOut(ctx, p.attacher(), p.Target(guest), withoutDNS(s, opts.ResolvConf))
	}
	if opts.DryRun {
		if at == nil && !stage.NoGuest(absent) && !stage.NoInterface(absent) && !errors.Is(absent, fs.ErrPermission) {
			return nil, absent
		}
		known[0].Attachment = at
		return &known[0], nil
	}
	late, end := finish.Context(ctx)
	defer end()
	for i := range known {
		if err := p.detach(ctx, now, &known[i], at, opts); err != nil {
			return nil, err
		}
		ctx = late // it has begun
	}
	for _, text := range follow(late, p) {
		if p.Log != nil {
			p.Log.WarnContext(ctx, text)
		}
	}
	known[0].Attachment = at
	return &known[0], nil
}

// stopped is the error of a Detach whose context has ended.
func stopped(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return nil
}

// detaching is err as one of Detach, whatever it came up in.
func detaching(err error) error {
	if e, ok := errors.AsType[*pipework.Error](err); ok {
		as := *e
		as.Op = "detach"
		return &as
	}
	return err
}

// detach takes away what is plugged into the guest, and the record.
func (p *Plugger) detach(ctx context.Context, now observed, r *Record, at *pipework.Attachment, opts DetachOptions) error {
	unlock, err := p.Store.Lock(ctx, r.Guest, r.Interface)
	if err != nil {
		return err
	}
	defer unlock()
	if r, err = p.Store.Get(r.Guest, r.Interface); err != nil {
		return orNil(err) // forgotten meanwhile
	}
	if now.ref.Kind.ByFile() && now.ref.ID != "" && r.Guest.Kind == now.ref.Kind && r.Guest.ID != now.ref.ID {
		return nil // another one has the name by now
	}
	going := *r
	going.Phase, going.Before = Detaching, nil
	if now.ref.ID != "" && r.Guest.Kind == now.ref.Kind {
		going.Guest.ID = now.ref.ID
	}
	if at != nil && (r.Attachment == nil || r.Attachment.Link == at.Link || !isNIC(at)) {
		going.Attachment = stored(at)
	}
	going.Spec = withoutDNS(r.Spec, opts.ResolvConf)
	full := p.Store.Put(going) // a full disk, or a read-only one, does not keep this from detaching
	t := p.Target(now.ref)
	if !now.runs() && !p.guests().observe(ctx, r.Guest).runs() {
		t = p.Target(r.Guest) // as what is left on the host calls it
	}
	s, err := p.specOf(ctx, &going)
	if err == nil {
		s.Force = opts.Force
		err = recovery{p}.unplugFrom(ctx, t, s)
	}
	if err == nil {
		late, end := finish.Context(ctx)
		defer end()
		if err = p.unplugRecorded(late, t, r, going.Attachment); err == nil {
			err = p.removeUnmarked(late, t, r)
		}
		if err == nil {
			_, err = p.former(r, now.inode).detach(late)
		}
	}
	if err != nil {
		if full == nil {
			full = p.Store.Put(*r)
		}
		return together(err, full)
	}
	return forgotten(ctx, p, p.Store.Delete(r.Guest, r.Interface))
}

// unplugRecorded takes away what the record is of where something else was in its place, by
// another backend: a guest can write what it likes on what it has, and the bridge that was
// made for it is to go all the same.
func (p *Plugger) unplugRecorded(ctx context.Context, t pipework.Target, r *Record, gone *pipework.Attachment) error {
	if r.Attachment == nil || gone == nil || r.Attachment.Link == gone.Link {
		return nil
	}
	s, err := p.specOf(ctx, r)
	if err != nil {
		return err
	}
	return recovery{p}.unplugFrom(ctx, t, s)
}

// isNIC says that the interface claims to be one of the host's own, which the
// record of another kind knows better.
func isNIC(at *pipework.Attachment) bool { return link.Mark{Link: at.Link}.IsNIC() }

// withoutDNS has what a lease wrote into this resolv.conf taken out, too.
func withoutDNS(s pipework.Spec, resolvConf string) pipework.Spec {
	if resolvConf == "" {
		return s
	}
	asked := dhcp.Config{}
	if s.DHCP != nil {
		asked = *s.DHCP
	}
	asked.ResolvConf = resolvConf
	s.DHCP = &asked
	return s
}

// plugged finds what was plugged into the guest under this name, "" for eth1, or is called
// so by now; nil: nothing.
func plugged(ctx context.Context, a *pipework.Attacher, t pipework.Target, name string) (*pipework.Attachment, error) {
	at, wrong := a.Check(ctx, t, pipework.Spec{Name: name})
	switch {
	case wrong == nil:
		return at, nil
	case stage.NoInterface(wrong):
		return nil, nil
	case stage.NoGuest(wrong):
		return nil, wrong
	}
	all, err := a.List(ctx, t) // a backend that does not answer
	for _, at := range all {
		if at.Name == cmp.Or(name, pipework.DefaultName) {
			return at, nil
		}
	}
	return nil, cmp.Or(err, wrong)
}
