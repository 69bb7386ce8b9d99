package keep

import (
	"context"
	"errors"
	"slices"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/ns"
)

// DetachGuest is [Plugger.Detach] of every interface that is plugged into the guest, or
// recorded of it. It returns those that it detached also beside an error, which is of
// the others; none where there was nothing.
func (p *Plugger) DetachGuest(ctx context.Context, guest ns.Ref, opts DetachOptions) (gone []*Record, err error) {
	names, err := p.interfaces(ctx, guest)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, name := range names {
		r, err := p.detachTelling(ctx, guest, name, opts)
		if failed = append(failed, err); err == nil && r != nil { // nil: it had two names
			gone = append(gone, r)
		}
	}
	return gone, errs.Join(failed...)
}

// interfaces are the names of what is plugged into the guest, or recorded of it.
func (p *Plugger) interfaces(ctx context.Context, guest ns.Ref) (names []string, err error) {
	there, absent := p.List(ctx, p.Target(guest))
	if absent != nil && !stage.NoGuest(absent) {
		return nil, detachingAll(absent)
	}
	for _, at := range there {
		names = append(names, at.Name)
	}
	all, err := p.guests().records()
	if err != nil {
		return nil, err
	}
	for _, r := range p.guests().declaredFor(ctx, all, guest) {
		names = append(names, r.Interface)
	}
	if err := stopped(ctx); err != nil {
		return nil, err
	}
	if len(names) == 0 && absent != nil {
		return nil, detachingAll(absent)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// detachingAll is err as one of DetachGuest.
func detachingAll(err error) error {
	if e, ok := errors.AsType[*pipework.Error](err); ok {
		return &pipework.Error{Op: "detach", Stage: e.Stage, Guest: e.Guest, Err: e.Err}
	}
	return err
}
