package keep

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework"
)

// Mend attaches what a Status tells of once more, as typing its line again would, and
// returns what is plugged in then. With dryRun it changes nothing: see [Plugger.Plan]. What
// is OK, and what was removed from the records meanwhile, is left alone: then the result is
// nil.
func (p *Plugger) Mend(ctx context.Context, f Status, dryRun bool) (*pipework.Attachment, error) {
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
	d.Spec.Add = true
	if dryRun {
		return p.Plan(ctx, r.Guest, d)
	}
	at, _, err := p.Attach(ctx, r.Guest, d)
	return at, err
}
