package keep

import (
	"context"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/stage"
)

// plugAhead is plugIn of what d declares, which ahead is the record of. An interface that has
// to be recreated gets all that the record declares: what it had, and what d adds.
func (p *Plugger) plugAhead(ctx context.Context, t pipework.Target, d Declared, ahead Record) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	at, keep, err = p.plugIn(ctx, t, d)
	if !stage.Stale(err) || !ahead.isMerged() {
		return at, keep, err
	}
	whole := ahead.Declared().bound(p.OVS)
	whole.Stay, whole.ignored, whole.Spec.Add = d.Stay, d.ignored, true
	whole.Spec.Beneath, whole.Spec.Last, whole.Spec.AllowHost = d.Spec.Beneath, d.Spec.Last, d.Spec.AllowHost
	return p.recreate(ctx, t, whole)
}

// recreate has the interface recreated as d says.
func (p *Plugger) recreate(ctx context.Context, t pipework.Target, d Declared) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	at, err = p.attacher().Update(ctx, t, d.Spec)
	if err != nil {
		return nil, nil, err
	}
	if d.Program != nil { // which finds the interface then
		recreated := at.Mended
		if at, keep, err = p.plugIn(ctx, t, d); err == nil {
			at.Mended = append(recreated, at.Mended...)
		}
		return at, keep, err
	}
	d.warn(at)
	if d.Stay {
		keep = keeperOf(p, t, d.Spec, at)
	}
	return at, keep, nil
}
