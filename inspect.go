//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Check is [Check] by this Attacher.
func (a *Attacher) Check(ctx context.Context, t Target, s Spec) (out *Attachment, err error) {
	err = a.one(ctx, "check", Job{t, s}, func(j *job) error {
		c := checker{j}
		if out, err = c.check(ctx); err != nil {
			err = c.orGone(ctx, err)
		}
		return err
	})
	return out, err
}

// A checker compares the interface of a job with its Spec.
type checker struct{ *job }

// probe looks for other hosts that have an address of the interface, where that is asked for.
func (j checker) probe(ctx context.Context, addrs []netip.Prefix) error {
	if j.announcer == nil {
		return nil
	}
	if err := j.announcer.Probe(ctx, &j.port, addrs, j.Probe); err != nil {
		return j.fail(StageAnnounce, err)
	}
	return nil
}

func (j checker) check(ctx context.Context) (*Attachment, error) {
	l, err := finder(j).find(ctx)
	if err != nil {
		return nil, err
	}
	j.here(l, j.port.Mark)
	missing, _, err := j.compare(ctx)
	if err != nil {
		return nil, err
	}
	out, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.probe(ctx, out.Addrs); err != nil {
		return nil, err
	}
	out.Drifts, out.Warnings = texts(missing), j.port.Warnings
	return out, nil
}

// orGone is err, or where the interface was taken away while it was looked at, that it is
// not there.
func (j checker) orGone(ctx context.Context, err error) error {
	if _, missing := rtnl.LinkByName(ctx, j.port.Conn, j.port.Name); !errors.Is(missing, fs.ErrNotExist) {
		return err
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Stage == StageInterface && errors.Is(err, fs.ErrNotExist) {
		return err // which says more
	}
	e := &Error{Op: j.op, Stage: StageInterface, Guest: j.guest.Name, Interface: j.spec.Name}
	e.Err = errs.New(fs.ErrNotExist, "the interface has gone meanwhile")
	return e
}
