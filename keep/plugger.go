package keep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A Plugger attaches, detaches, checks and collects what is [Declared], and keeps a
// record of each attachment. It may be used by several goroutines.
type Plugger struct {
	pipework.Attacher
	// Store has the records; nil keeps none.
	Store *Store
	// Target finds a guest: find.Target.
	Target func(ns.Ref) pipework.Target
	// OVS is the Open vSwitch to plug into; nil is the standard one.
	OVS *ovs.Client
	// Output hears, in lines for people, what goes on while a lease is waited for and
	// kept; nil hears nothing.
	Output io.Writer
}

// attached records the result of an Attach.
func (p *Plugger) attached(r Record, at *pipework.Attachment) error {
	if b := r.Before; b != nil && at.Existed && b.Attachment != nil && b.Attachment.Link == at.Link {
		r.declare(merge(b.Declared(), r.Declared()))
	}
	r.Phase, r.Before, r.Attachment, r.Guest.ID = Attached, nil, stored(at), at.Guest.ID
	return p.Store.Put(r)
}

// stored is the Attachment without what is of one call alone.
func stored(at *pipework.Attachment) *pipework.Attachment {
	made := *at
	made.Existed, made.Mended, made.Added, made.Warnings = false, nil, nil, nil
	return &made
}

// restore makes the record what it was before r.
func (p *Plugger) restore(r *Record) error {
	if r.Before != nil {
		return p.Store.Put(*r.Before)
	}
	return p.Store.Delete(r.Guest, r.Interface)
}

// Recover puts right what a killed call left of the guest's interface, and returns the
// record that is left; nil: there is none. A call that is at work is waited for.
func (p *Plugger) Recover(ctx context.Context, guest ns.Ref, iface string) (*Record, error) {
	unlock, err := p.Store.Lock(ctx, guest, iface)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return p.recovered(ctx, guest, iface)
}

// recovered is Recover for whoever has locked the record.
func (p *Plugger) recovered(ctx context.Context, guest ns.Ref, iface string) (*Record, error) {
	r, err := p.Store.Get(guest, iface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || r.Phase == Attached {
		return r, err
	}
	return p.recoverCall(ctx, r)
}

// recoverCall puts right what a killed call left: what was about to be made is taken
// back, what was about to be taken away is gone then. It returns the record that
// is left; nil: none.
func (p *Plugger) recoverCall(ctx context.Context, r *Record) (*Record, error) {
	if err := p.unplug(ctx, r); err != nil {
		return nil, err
	}
	if r.Phase == Intent {
		return r.Before, p.restore(r)
	}
	return nil, p.Store.Delete(r.Guest, r.Interface)
}

// unplug takes away what the record is of, as far as it is there. What somebody
// else has plugged in by now stays.
func (p *Plugger) unplug(ctx context.Context, r *Record) error {
	s, err := p.specOf(ctx, r)
	if err != nil {
		return err
	}
	return p.unplugFrom(ctx, p.target(ctx, r), s)
}

// unplugFrom is unplug, where the guest and the Spec are known.
func (p *Plugger) unplugFrom(ctx context.Context, t pipework.Target, s pipework.Spec) error {
	err := p.pullOut(ctx, t, s)
	if stage.Is(err, "link") && errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) && p.foreign(ctx, t, s.Name) {
		return nil
	}
	return err
}

// foreign says whether the interface is there and not pipework's.
func (p *Plugger) foreign(ctx context.Context, t pipework.Target, name string) bool {
	_, err := p.Check(ctx, t, pipework.Spec{Name: name})
	return stage.Is(err, "link") && errors.Is(err, fs.ErrPermission)
}

// specOf is the Spec of a record, for what is or was plugged in: with the backend that
// the Attachment names. The error is of a record of version 1 without one, while nobody
// can tell what its line means.
func (p *Plugger) specOf(ctx context.Context, r *Record) (pipework.Spec, error) {
	d := r.Declared()
	var b link.Backend
	if r.Attachment != nil {
		b = backend(r.Attachment.Link, p.OVS)
	}
	if b == nil && r.line != nil {
		found, err := p.Declared(ctx, r.line.Line, r.line.flags)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && stage.Retryable(err) {
			return pipework.Spec{}, err
		}
		b = found.Spec.Link
	}
	if b != nil {
		d.Spec.Link = b
	}
	d.Spec.Name = r.Interface
	return d.bound(p.OVS).Spec, nil
}

// there says whether the guest has an interface of this name, whosever it is, that
// is to stay.
func (p *Plugger) there(ctx context.Context, t pipework.Target, name string) (bool, error) {
	at, err := p.Check(ctx, t, pipework.Spec{Name: name})
	halfMade := err == nil && at.Link == link.Unmarked
	return !halfMade && !stage.NoInterface(err) && !stage.NoGuest(err), context.Cause(ctx)
}

// together is err, and what went wrong after it.
func together(err, then error) error {
	if err != nil && then != nil {
		return fmt.Errorf("%w; and then %w", err, then)
	}
	return errors.Join(err, then)
}
