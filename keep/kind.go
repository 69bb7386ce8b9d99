package keep

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// The kinds that a host interface's name may be taken for.
var guessable = []string{"bridge", "ovs", "macvlan", "ipoib", "dummy"}

// sameKind refuses another kind of link than the record has, with an error that
// satisfies fs.ErrExist, where a line names the same host interface and does not say
// what it is. A nil record, or one of an attachment that was never made, permits all.
func (r *Record) sameKind(d Declared) error {
	if r == nil || d.Spec.Link == nil || !d.guessed() {
		return nil
	}
	made := r.Attachment
	if made == nil && r.Before != nil {
		made = r.Before.Attachment
	}
	if made == nil || !slices.Contains(guessable, linkKind(made.Link)) || linkKind(made.Link) == linkKind(d.Spec.Link.String()) {
		return nil
	}
	if was, is := hostInterface(r.Spec.Link); is && was != d.hostInterface() || !is && !strings.HasPrefix(d.word, linkKind(made.Link)) {
		return nil
	}
	return r.otherKind(d.hostInterface(), d.Spec.Link)
}

// confirm refuses what a record declares, with an error that satisfies fs.ErrExist, while
// the name of the host's interface means another kind of link than the record has: a
// link of that name is not made then. Where that is not known, the record counts.
func (p *Plugger) confirm(ctx context.Context, r *Record, d Declared) error {
	name, is := hostInterface(d.Spec.Link)
	if _, moved := d.Spec.Link.(link.Phys); !is || moved || r.Attachment == nil {
		return nil
	}
	kind := linkKind(d.Spec.Link.String())
	if kind != "bridge" && kind != "ovs" { // it can stand on whatever is there
		if _, err := p.Detect(ctx, "macvlan:"+name, nil); err == nil {
			return nil
		}
	}
	now, err := p.Detect(ctx, name, p.OVS.Lookup)
	if err != nil || linkKind(now.String()) == kind {
		return context.Cause(ctx)
	}
	return r.otherKind(name, now)
}

func (r *Record) otherKind(name string, now link.Backend) error {
	was := r.Spec.Link.String()
	if r.Attachment != nil {
		was = r.Attachment.Link
	}
	return errs.New(fs.ErrExist, "%s of %s is recorded as plugged into %s, and %s means %s now: detach it first, or make that what it was", r.Interface, r.Guest, was, name, now)
}

// hostInterface is the interface of the host that a backend works on, where it does.
func hostInterface(b link.Backend) (name string, is bool) {
	on, is := b.(link.OnInterface)
	if !is {
		return "", false
	}
	name = on.HostInterface()
	return name, name != ""
}

// hostInterface is the interface of the host, or the line's word for it.
func (d Declared) hostInterface() string {
	if name, is := hostInterface(d.Spec.Link); is {
		return name
	}
	return d.word
}

// linkKind is the kind of a link as its backend spells it, without a mode: macvlan of
// "macvlan-private:eth0".
func linkKind(text string) string {
	kind, _, _ := strings.Cut(text, ":")
	kind, _, _ = strings.Cut(kind, "-")
	return kind
}

// CheckKind refuses, with an error that satisfies fs.ErrExist, what is declared for the
// guest's interface by the words of a command line, where they mean another kind of link
// than its record has.
func (p *Plugger) CheckKind(guest ns.Ref, iface string, d Declared) error {
	if p.Store == nil {
		return nil
	}
	r, err := p.Store.Get(guest, iface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.sameKind(d)
}
