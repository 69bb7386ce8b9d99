package keep

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
)

// Detach unplugs the interface called name from the guest, and forgets it; ""
// stands for eth1, or for the only one there is. It returns what was plugged in;
// without Attachment there was nothing but the record, which is forgotten. Where
// there was neither, the result is nil. After an error the record is what it was.
// Of the flags, the resolv.conf counts.
func (p *Plugger) Detach(ctx context.Context, guest, name string, flags config.Flags) (*Record, error) {
	at, err := p.plugged(ctx, guest, name)
	if err != nil && !noGuest(err) {
		return nil, err
	}
	absent := err
	if at != nil {
		name = at.Name
	}
	known, err := p.known(guest, name, at)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		if at == nil {
			return nil, absent
		}
		r := Record{Guest: guest, Interface: at.Name, Attachment: at}
		return &r, p.pullOut(ctx, p.Target(guest), withoutDNS(p.specOf(ctx, &r), flags))
	}
	for i := range known {
		if err := p.detach(ctx, &known[i], at, flags); err != nil {
			return nil, err
		}
	}
	known[0].Attachment = at
	return &known[0], nil
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

// detach takes away what is plugged in, and the record.
func (p *Plugger) detach(ctx context.Context, r *Record, at *pipework.Attachment, flags config.Flags) error {
	unlock, err := p.Store.Lock(ctx, r.Guest, r.Interface)
	if err != nil {
		return err
	}
	defer unlock()
	going := *r
	going.Phase, going.Before = Detaching, nil
	if at != nil {
		going.Attachment = at
	}
	going.Line = slices.Concat(config.Flags{ResolvConf: flags.ResolvConf}.Args(), r.Line)
	full := p.Store.Put(going) // a full disk keeps nobody from detaching
	if err := p.unplug(ctx, &going); err != nil {
		if full == nil {
			full = p.Store.Put(*r)
		}
		return together(err, full)
	}
	return p.Store.Delete(r.Guest, r.Interface)
}

// withoutDNS has what a lease wrote into the resolv.conf of the flags taken out.
func withoutDNS(s pipework.Spec, flags config.Flags) pipework.Spec {
	if flags.ResolvConf != "" {
		s.DHCP = &dhcp.Config{ResolvConf: flags.ResolvConf}
	}
	return s
}

// plugged finds what is plugged into the guest under this name; nil: nothing.
func (p *Plugger) plugged(ctx context.Context, guest, name string) (*pipework.Attachment, error) {
	all, err := p.List(ctx, p.Target(guest))
	if err != nil {
		return nil, err
	}
	for _, at := range all {
		if at.Name == cmp.Or(name, pipework.DefaultName) {
			return at, nil
		}
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	_, err = p.Check(ctx, p.Target(guest), pipework.Spec{Name: name}) // may be there, and not ours
	if noInterface(err) {
		return nil, nil
	}
	return nil, err
}

// known are the records of what is plugged in as at, also under another word for
// the same guest; at is nil where nothing is.
func (p *Plugger) known(guest, name string, at *pipework.Attachment) ([]Record, error) {
	if p.Store == nil {
		return nil, nil
	}
	all, _, err := p.Store.All()
	if err != nil {
		return nil, err
	}
	var of []Record
	for _, r := range all {
		if r.Guest == guest || at != nil && at.Guest.ID != "" && strings.HasPrefix(r.GuestID, at.Guest.ID) { // marks have its beginning
			of = append(of, r)
		}
	}
	var known []Record
	for _, r := range of {
		if r.Interface == cmp.Or(name, pipework.DefaultName) {
			known = append(known, r)
		}
	}
	if len(known) == 0 && name == "" && len(of) == 1 {
		known = of
	}
	return known, nil
}
