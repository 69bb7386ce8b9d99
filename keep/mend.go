package keep

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/go-pipework/pipework"
)

// Mend makes what a Status tells of as it was declared, and returns what is plugged in then.
// Other than typing the line again it leaves the default route to what was declared later.
// What is OK, and what was removed from the records meanwhile, is left alone: then the result
// is nil.
func (p *Plugger) Mend(ctx context.Context, f Status) (*pipework.Attachment, error) {
	d, err := toMend(ctx, p, f)
	if d == nil || err != nil {
		return nil, err
	}
	at, _, err := p.Attach(ctx, f.Guest, *d)
	return at, err
}

// PlanMend tells in Attachment.Plan what [Plugger.Mend] would do; see [Plugger.Plan].
func (p *Plugger) PlanMend(ctx context.Context, f Status) (*pipework.Attachment, error) {
	d, err := toMend(ctx, p, f)
	if d == nil || err != nil {
		return nil, err
	}
	return p.Plan(ctx, f.Guest, *d)
}

// toMend is what the record of the Status declares; nil: there is nothing to do.
func toMend(ctx context.Context, p *Plugger, f Status) (*Declared, error) {
	if f.OK() {
		return nil, nil
	}
	r, err := p.Store.Get(f.Guest, f.Interface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := p.Resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	d.Spec.Add, d.mending = true, true
	all, err := p.guests().records()
	if err != nil {
		return nil, err
	}
	for _, o := range p.guests().declaredFor(ctx, all, f.Guest) {
		if cmp.Or(o.since().Compare(r.since()), strings.Compare(o.Interface, r.Interface)) > 0 {
			d.Spec.Beneath = append(d.Spec.Beneath, o.Interface)
		}
	}
	return &d, nil
}

// since is when the default route of the record was declared.
func (r *Record) since() time.Time { return cmp.Or(r.Since, r.Changed) }
