package pipework

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Update is [Update] by this Attacher.
func (a *Attacher) Update(ctx context.Context, t Target, s Spec) (out *Attachment, err error) {
	err = a.one(ctx, "update", Job{t, s}, func(j *job) error {
		unlock, err := j.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		out, err = updater{j}.update(ctx)
		if err != nil {
			out, err = nil, j.rollBack(ctx, err)
		}
		return err
	})
	return out, err
}

// An updater makes the interface of a job what its Spec says.
type updater struct{ *job }

func (j updater) update(ctx context.Context) (*Attachment, error) {
	asked := j.port.Mark.Spec
	l, err := finder(j).find(ctx)
	if err != nil {
		return nil, err
	}
	j.here(l, j.port.Mark)
	had, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	j.site.Exact = true
	missing, surplus, err := j.compare(ctx)
	if err != nil {
		return nil, err
	}
	if why := toRecreate(missing); why != "" {
		return j.recreateFrom(ctx, why, had)
	}
	changed, err := j.change(ctx, asked, missing, surplus)
	if err != nil {
		return nil, err
	}
	out, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	out.Existed, out.Mended, out.Added = true, changed, added(out.Addrs, had.Addrs)
	fresh := out.Added
	if !bytes.Equal(out.MAC, had.MAC) {
		fresh = out.Addrs
	}
	return out, j.end(ctx, out, fresh)
}

// recreateFrom recreates the interface, which was as had.
func (j updater) recreateFrom(ctx context.Context, why string, had *Attachment) (*Attachment, error) {
	out, err := recreater(j).recreate(ctx, why)
	if err != nil {
		return nil, err
	}
	out.Added = added(out.Addrs, had.Addrs)
	return out, nil
}

// change makes the interface, which differs so, what the Spec of this digest says, and tells what it changed.
// What is missing comes before what is surplus goes. Meanwhile the mark has no digest: after
// a kill nobody takes the interface for what it is not.
func (j updater) change(ctx context.Context, digest string, missing, surplus []drift) (changed []string, err error) {
	differs := j.port.Mark.Spec != digest || len(missing)+len(surplus) > 0
	if differs || j.spec.DHCP != nil {
		if err := j.keep(ctx); err != nil {
			return nil, err
		}
	}
	if !differs {
		return nil, j.refresh(ctx)
	}
	if err := j.remark(ctx, ""); err != nil {
		return nil, err
	}
	for range changeRounds {
		some, left, err := j.changeOnce(ctx, missing)
		if err != nil {
			return nil, err
		}
		changed = append(changed, some...)
		if missing = left; !slices.ContainsFunc(missing, drift.mendable) {
			return changed, j.remark(ctx, digest)
		}
	}
	return nil, j.fail(missing[0].stage, fmt.Errorf("it does not stay as it is to be: %s", strings.Join(texts(missing), ", ")))
}

// changeRounds is how often what is missing is added. The second time something went
// beside what was surplus; after that somebody else takes it away.
const changeRounds = 3

// changeOnce adds what is missing, removes what is surplus, and tells what is missing then.
func (j updater) changeOnce(ctx context.Context, missing []drift) (changed []string, left []drift, err error) {
	if changed, err = j.mend(ctx, missing); err != nil {
		return nil, nil, err
	}
	if _, err := j.read(ctx); err != nil { // the MAC may be another
		return nil, nil, err
	}
	if err := j.refresh(ctx); err != nil {
		return nil, nil, err
	}
	left, surplus, err := j.compare(ctx)
	if err != nil || len(surplus) == 0 {
		return changed, left, err
	}
	slices.Reverse(surplus)
	removed, err := j.mend(ctx, surplus)
	if err != nil {
		return nil, nil, err
	}
	left, _, err = j.compare(ctx)
	return append(changed, removed...), left, err
}

// remark has the marks of the interface and of its end on the host tell another digest,
// and which rules are there. The interface's, which is compared, has one only while the
// other has it, too.
func (j *job) remark(ctx context.Context, digest string) error {
	if j.plan != nil {
		return nil
	}
	mark := j.port.Mark
	mark.Spec = digest
	writes := []func() error{
		func() error { return j.remarkHost(ctx, digest) },
		func() error { return j.site.Remark(ctx, mark) },
	}
	if digest == "" {
		slices.Reverse(writes)
	}
	for _, write := range writes {
		if err := write(); err != nil {
			return j.fail(StageLink, err)
		}
	}
	return nil
}

// remarkHost takes nothing over from the interface's own mark, which the guest can write.
func (j *job) remarkHost(ctx context.Context, digest string) error {
	if j.port.HostName == "" {
		return nil
	}
	c := j.host.Conn
	host, err := rtnl.LinkByName(ctx, c, j.port.HostName)
	if err != nil {
		return err
	}
	mark, ours := link.ParseMark(host.Alias)
	if mark.Spec = digest; digest != "" {
		mark.Rules = link.FormatRules(j.spec.Rules)
	}
	if !ours || mark.String() == host.Alias {
		return nil
	}
	j.undo.Push("mark of "+host.Name, func(ctx context.Context) error { return rtnl.SetAlias(ctx, c, host.Index, host.Alias) })
	return rtnl.SetAlias(ctx, c, host.Index, mark.String())
}
