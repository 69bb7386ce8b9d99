//go:build linux

package pipework

import "context"

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
		if out, err = j.read(ctx); err == nil {
			out.Drifts, out.Warnings = texts(missing), j.port.Warnings
		}
		return err
	})
	return out, err
}
