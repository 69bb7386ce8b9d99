package keep

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// sameKind refuses another kind of link than the record has, with an error that
// satisfies fs.ErrExist, where the record's line names the same host interface: that
// has not been confirmed, and may be again. A nil record, or one of an attachment
// that was never made, permits all.
func (r *Record) sameKind(line config.Line, b link.Backend) error {
	if r == nil || b == nil {
		return nil
	}
	was, err := read(r.Line)
	if err != nil || was.Interface != line.Interface || was.DirectPhys != line.DirectPhys {
		return nil
	}
	made := r.Attachment
	if made == nil && r.Before != nil {
		made = r.Before.Attachment
	}
	if made == nil || made.Link == link.Unmarked || linkKind(made.Link) == linkKind(b.String()) {
		return nil
	}
	return errs.New(fs.ErrExist, "%s of %s is recorded as plugged into %s, and %s means %s now: detach it first, or make that what it was", r.Interface, r.Guest, made.Link, line.Interface, b)
}

// linkKind is the kind of a link as its backend spells it, without a mode: macvlan of
// "macvlan-private:eth0".
func linkKind(text string) string {
	kind, _, _ := strings.Cut(text, ":")
	kind, _, _ = strings.Cut(kind, "-")
	return kind
}

// past is the record of the interface; nil: there is none.
func (p *Plugger) past(guest ns.Ref, iface string) (*Record, error) {
	if p.Store == nil {
		return nil, nil
	}
	r, err := p.Store.Get(guest, iface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}
