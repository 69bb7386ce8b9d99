package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
)

// status compares a shim that has addresses of its own with its record; nil: it is of another
// namespace.
func (s Shim) status(ctx context.Context, r *shimRecord) (st *Status, err error) {
	ctx = fault.ReadOnly(ctx)
	err = onhost.Do(ctx, s.Host, func(h link.Host) error {
		j := &shimJob{s, mover{h}, &Shimmed{}}
		if !j.isHere(r) {
			return nil
		}
		st = &Status{NIC: s.NIC, Bridge: ShimName(s.NIC), State: keep.AsDeclared}
		if st.Details, err = j.differs(ctx, r, st); len(st.Details) > 0 && st.State == keep.AsDeclared {
			st.State = keep.Drifted
		}
		return err
	})
	return st, err
}

// differs is what of the record is not so, but for routes to guests; it notes in st what there is.
func (j *shimJob) differs(ctx context.Context, r *shimRecord, st *Status) (details []string, err error) {
	if _, err := j.nic(ctx); errors.Is(err, fs.ErrNotExist) {
		st.State = keep.Missing
		return []string{j.NIC + " is gone"}, nil
	}
	l, err := j.find(ctx)
	if err != nil {
		return nil, err
	}
	if l == nil || l.Unfinished() {
		st.State = keep.Missing
		return []string{ShimName(j.NIC) + " is gone"}, nil
	}
	if !l.Up {
		details = append(details, l.Name+" is down")
	}
	have, err := rtnl.Addrs(ctx, j.host.Conn, l.Index)
	if err != nil {
		return nil, err
	}
	for _, a := range r.Addrs {
		if slices.ContainsFunc(have, func(h rtnl.Addr) bool { return h.Prefix == a }) {
			st.Addrs = append(st.Addrs, a)
		} else {
			details = append(details, fmt.Sprintf("address %s is gone", a))
		}
	}
	routes, err := rtnl.WholeRoutes(ctx, j.host.Conn, l.Index)
	st.Routes = len(routes)
	return details, err
}

// listShims compares those that have addresses of their own.
func (p Plan) listShims(ctx context.Context) (all []Status, failed []error) {
	records, err := shimRecords(p.Store)
	failed = append(failed, err)
	for _, r := range records {
		st, err := Shim{NIC: r.NIC, Store: p.Store, Host: p.Host}.status(ctx, r)
		if err != nil {
			failed = append(failed, fmt.Errorf("shim of %s: %w", r.NIC, err))
		} else if st != nil {
			all = append(all, *st)
		}
	}
	return all, failed
}

// mendShim mends one of those; not found: there is none.
func (p Plan) mendShim(ctx context.Context) (mended []string, found bool, err error) {
	s := Shim{NIC: p.NIC, Store: p.Store, Host: p.Host}
	b, err := p.Store.Note(s.note())
	if errors.Is(err, fs.ErrNotExist) || !p.isShim() {
		return nil, false, nil
	}
	r := &shimRecord{}
	if err == nil {
		r, err = readShim(b)
	}
	if err != nil {
		return nil, true, err
	}
	st, err := s.status(ctx, r)
	if err != nil || st == nil || st.OK() {
		return nil, true, err
	}
	return st.Details, true, s.again(ctx)
}
