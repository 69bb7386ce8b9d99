package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Detach unplugs the interface called name from the guest, and forgets it; ""
// stands for eth1, or for the only one there is. It returns what was plugged in;
// without Attachment there was nothing but the record, which is forgotten. Where
// there was neither, the result is nil. After an error the record is what it was.
// Of the flags, the resolv.conf counts.
func (p *Plugger) Detach(ctx context.Context, guest ns.Ref, name string, flags config.Flags) (*Record, error) {
	at, err := p.plugged(ctx, guest, name)
	switch {
	case stage.NoGuest(err):
		if now, ok := p.renamedGuest(ctx, guest); ok {
			return p.Detach(ctx, now, name, flags)
		}
	case err != nil:
		return nil, detaching(err)
	}
	absent := detaching(err)
	b := p.being(ctx, guest)
	known, err := p.known(ctx, b, name, at)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 && at == nil {
		if full, ok := p.Store.fullRef(guest); ok {
			return p.Detach(ctx, full, name, flags)
		}
		return nil, absent
	}
	if len(known) == 0 {
		r := Record{Guest: guest, Interface: at.Name, Attachment: at}
		s, err := p.specOf(ctx, &r)
		if err != nil {
			return nil, err
		}
		s.Force = flags.Force
		return &r, p.pullOut(ctx, p.Target(guest), withoutDNS(s, flags.ResolvConf))
	}
	for i := range known {
		if err := p.detach(ctx, b, &known[i], at, flags); err != nil {
			return nil, err
		}
	}
	known[0].Attachment = at
	return &known[0], nil
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

// Detached tells people what [Plugger.Detach] did.
func (r *Record) Detached() string {
	at := r.Attachment
	if at == nil {
		return fmt.Sprintf("%s: %s was not plugged in any more, and is forgotten", r.Guest, r.Interface)
	}
	text := fmt.Sprintf("%s: %s detached from %s", at.Guest.Name, at.Name, at.Link)
	if len(at.Displaced) > 0 {
		text += ", back: " + strings.Join(at.Displaced, ", ")
	}
	return text
}

// detach takes away what is plugged into the guest, and the record.
func (p *Plugger) detach(ctx context.Context, b being, r *Record, at *pipework.Attachment, flags config.Flags) error {
	unlock, err := p.Store.Lock(ctx, r.Guest, r.Interface)
	if err != nil {
		return err
	}
	defer unlock()
	if r, err = p.Store.Get(r.Guest, r.Interface); err != nil {
		return orNil(err) // forgotten meanwhile
	}
	going := *r
	going.Phase, going.Before = Detaching, nil
	if b.ref.ID != "" && r.Guest.Kind == b.ref.Kind {
		going.Guest.ID = b.ref.ID
	}
	if at != nil && (r.Attachment == nil || r.Attachment.Link == at.Link || !isNIC(at)) {
		going.Attachment = stored(at)
	}
	going.Spec = withoutDNS(r.Spec, flags.ResolvConf)
	full := p.Store.Put(going) // a full disk keeps nobody from detaching
	t := p.Target(b.ref)
	if !b.runs() && !p.being(ctx, r.Guest).runs() {
		t = p.Target(r.Guest) // as what is left on the host calls it
	}
	s, err := p.specOf(ctx, &going)
	if err == nil {
		s.Force = flags.Force
		err = p.unplugFrom(ctx, t, s)
	}
	if err != nil {
		if full == nil {
			full = p.Store.Put(*r)
		}
		return together(err, full)
	}
	return p.Store.Delete(r.Guest, r.Interface)
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

// plugged finds what is plugged into the guest under this name; nil: nothing.
func (p *Plugger) plugged(ctx context.Context, guest ns.Ref, name string) (*pipework.Attachment, error) {
	all, err := p.List(ctx, p.Target(guest))
	if err != nil {
		return nil, err
	}
	for _, at := range all {
		if at.Name == cmp.Or(name, pipework.DefaultName) {
			return at, nil
		}
	}
	at, err := p.Check(ctx, p.Target(guest), pipework.Spec{Name: name}) // renamed, or not ours
	switch {
	case err == nil:
		return at, nil
	case name == "" && len(all) == 1:
		return all[0], nil
	case stage.NoInterface(err):
		return nil, nil
	}
	return nil, err
}
