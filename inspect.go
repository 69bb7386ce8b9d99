//go:build linux

package pipework

import (
	"context"
	"net/netip"
)

// Check is [Check] by this Attacher.
func (a *Attacher) Check(ctx context.Context, t Target, s Spec) (out *Attachment, err error) {
	err = a.one(ctx, "check", Job{t, s}, func(j *job) error {
		l, err := finder{j}.find(ctx)
		if err != nil {
			return err
		}
		j.here(l, j.port.Mark)
		missing, _, err := j.compare(ctx)
		if err != nil {
			return err
		}
		if out, err = j.read(ctx); err != nil {
			return err
		}
		if err := j.probe(ctx, out.Addrs); err != nil {
			return err
		}
		out.Drifts, out.Warnings = texts(missing), j.port.Warnings
		return nil
	})
	return out, err
}

// probe looks for other hosts that have an address of the interface, where that is asked for.
func (j *job) probe(ctx context.Context, addrs []netip.Prefix) error {
	if j.announcer == nil {
		return nil
	}
	if err := j.announcer.Probe(ctx, &j.port, addrs, j.Probe); err != nil {
		return j.fail(StageAnnounce, err)
	}
	return nil
}
