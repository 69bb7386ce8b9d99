package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/ns"
)

// Recover puts right what a killed call left of the guest's interface, and returns the
// record that is left; nil: there is none, as always without a Store. A call that is at work
// is waited for.
func (p *Plugger) Recover(ctx context.Context, guest ns.Ref, iface string) (*Record, error) {
	if p.Store == nil {
		return nil, nil
	}
	unlock, err := p.Store.Lock(ctx, guest, iface)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return recovery{p}.record(ctx, guest, iface)
}

// A recovery puts right what a killed call left.
type recovery struct{ plugger *Plugger }

// record is Recover for whoever has locked the record.
func (c recovery) record(ctx context.Context, guest ns.Ref, iface string) (*Record, error) {
	r, err := c.plugger.Store.Get(guest, iface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || r.Phase == Attached {
		return r, err
	}
	return c.complete(ctx, r)
}

// complete puts right what a killed call left: what was about to be made is taken
// back, what was about to be added or taken away is there or gone then. It returns the
// record that is left; nil: none.
func (c recovery) complete(ctx context.Context, r *Record) (*Record, error) {
	if r.isAddition() {
		return c.finishAddition(ctx, r)
	}
	if err := c.unplug(ctx, r); err != nil {
		return nil, err
	}
	if r.Phase == Intent {
		return r.Before, forgotten(ctx, c.plugger, c.plugger.Store.restore(r))
	}
	return nil, forgotten(ctx, c.plugger, c.plugger.Store.Delete(r.Guest, r.Interface))
}

// unplug takes away what the record is of, as far as it is there. What somebody
// else has plugged in by now stays.
func (c recovery) unplug(ctx context.Context, r *Record) error {
	s, err := c.plugger.specOf(ctx, r)
	if err != nil {
		return err
	}
	return c.unplugFrom(ctx, c.plugger.guests().targetOf(ctx, r), s)
}

// unplugFrom is unplug, where the guest and the Spec are known.
func (c recovery) unplugFrom(ctx context.Context, t pipework.Target, s pipework.Spec) error {
	err := pullOut(ctx, c.plugger.attacher(), t, s)
	if stage.Is(err, pipework.StageLink) && errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) && foreign(ctx, c.plugger.observer(), t, s.Name) {
		return c.collect(ctx)
	}
	return err
}

// collect takes away what nobody uses on the host any more: where something else is in the
// place of what was plugged in, and perhaps put there by the guest, the bridge that was made for
// it is left.
func (c recovery) collect(ctx context.Context) error {
	a := c.plugger.Attacher
	a.Collectors = nil // which take their time
	_, err := a.Collect(ctx)
	return err
}

// pullOut ends the program that keeps the interface's lease, where one does, and
// detaches. Where it has ended one, it does not stop when ctx ends.
func pullOut(ctx context.Context, a *pipework.Attacher, t pipework.Target, s pipework.Spec) error {
	runs, err := program.Runs(ctx, t, s.Name)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if runs {
		late, end := finish.Context(ctx)
		defer end()
		ctx = late
		if err := program.End(ctx, t, s.Name); err != nil {
			return err
		}
	}
	_, err = a.Detach(ctx, t, s)
	return err
}

// foreign says whether the interface is there and not pipework's.
func foreign(ctx context.Context, a *pipework.Attacher, t pipework.Target, name string) bool {
	_, err := a.Check(ctx, t, pipework.Spec{Name: name})
	return stage.Is(err, pipework.StageLink) && errors.Is(err, fs.ErrPermission)
}

// together is err, and what went wrong after it.
func together(err, then error) error {
	if err != nil && then != nil {
		return fmt.Errorf("%w; and then %w", err, then)
	}
	return errs.Join(err, then)
}
