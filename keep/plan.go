package keep

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Plan tells in Attachment.Plan what [Plugger.Attach] would do just now, and changes
// nothing; see [pipework.Attacher.Plan]. Of a pair to a guest that has begun again meanwhile,
// it does not tell that the pair is recreated.
func (p *Plugger) Plan(ctx context.Context, guest ns.Ref, d Declared) (*pipework.Attachment, error) {
	d.Spec.Name, d.Spec.Link = cmp.Or(d.Spec.Name, pipework.DefaultName), link.ByValue(d.Spec.Link)
	d = d.bound(p.OVS)
	var before *Record
	if p.Store != nil {
		r, err := p.Store.Get(guest, d.Spec.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		before = r
	}
	if err := before.sameKind(d); err != nil {
		return nil, &pipework.Error{Op: "attach", Stage: pipework.StageLink, Interface: d.Spec.Name, Err: err}
	}
	d.ofOneCall(before)
	at, err := p.observer().Plan(ctx, p.Target(guest), d.Spec)
	if err != nil {
		return nil, err
	}
	if before != nil && before.Phase != Attached {
		at.Plan = append([]string{"finish first what a killed call has left"}, at.Plan...)
	}
	if d.Program != nil {
		at.Plan = append(at.Plan, "an address by "+d.Program.Name)
	}
	d.warn(at)
	return at, nil
}
