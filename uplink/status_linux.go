package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

func (p Plan) list(ctx context.Context) (all []Status, err error) {
	notes, err := p.Store.Notes(Plan{}.note().Kind)
	failed := []error{err}
	for _, b := range notes {
		r, err := parseRecord(b)
		if err != nil {
			failed = append(failed, errs.New(fs.ErrInvalid, "a record of an uplink in %s cannot be read: %w", p.Store.Dir(), err))
			continue
		}
		s, err := Plan{NIC: r.NIC, Bridge: r.Bridge, OVS: p.OVS, Store: p.Store, Host: p.Host, DryRun: true}.status(ctx)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("uplink %s: %w", r.Bridge, err))
		case s != nil:
			all = append(all, *s)
		}
	}
	shims, wrong := p.listShims(ctx)
	return append(all, shims...), errs.Join(append(failed, wrong...)...)
}

// status compares one uplink with its record; nil: it is of another boot or namespace, or has gone
// meanwhile.
func (p Plan) status(ctx context.Context) (*Status, error) {
	ctx = fault.ReadOnly(ctx)
	j, end, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	b, err := p.Store.Note(p.note())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(b)
	if err != nil || r.Boot != ns.BootID() || r.Cookie != j.host.Conn.Cookie() {
		return nil, err
	}
	if r.OVS != nil {
		j.kind = openvswitch{j}
	}
	s := &Status{NIC: r.NIC, Bridge: r.Bridge, State: keep.AsDeclared}
	if r.Phase != moved {
		s.State = keep.Unfinished
		s.Details = []string{fmt.Sprintf("a call is at work, or was killed: pipework uplink --undo %s %s", r.Bridge, r.NIC)}
		return s, nil
	}
	late, err := j.unguarded()
	if err != nil {
		return nil, err
	}
	if late {
		s.State, s.Details = keep.Drifted, []string{notConfirmed}
		return s, nil
	}
	if s.Undone, err = p.undone(); err != nil {
		return nil, err
	}
	drifts, err := drifter{j}.drifts(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, d := range drifts {
		s.Details = append(s.Details, d.what)
		s.State = keep.Drifted
	}
	if len(drifts) == 1 && drifts[0].missing {
		s.State = keep.Missing
		return s, nil
	}
	br, err := rtnl.LinkByName(ctx, j.host.Conn, r.Bridge)
	if err == nil {
		err = j.count(ctx, br)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // just now
	}
	s.Addrs, s.Routes = j.moved.Addrs, j.moved.Routes
	return s, err
}

func (p Plan) mend(ctx context.Context) (mended []string, err error) {
	if mended, found, err := p.mendShim(ctx); found || err != nil {
		return mended, err
	}
	j, end, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	r, err := j.read(ctx)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, nil
	case r.Phase != moved:
		return []string{"undone what a call has left that was killed"}, j.restore(ctx, r)
	}
	late, err := j.unguarded()
	switch {
	case err != nil:
		return nil, err
	case late:
		return []string{notConfirmed}, j.take(ctx, r)
	}
	drifts, err := drifter{j}.drifts(ctx, r)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, d := range drifts {
		if err := d.mend(ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", d.what, err))
			continue
		}
		mended = append(mended, d.what)
	}
	return mended, errs.Join(failed...)
}
