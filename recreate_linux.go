package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/link"
)

// toRecreate says why the interface has to be recreated, by how it differs; "": it need not be.
func toRecreate(missing []drift) (why string) {
	for _, d := range missing {
		if d.Recreate {
			return d.What
		}
	}
	return ""
}

// A recreater removes a job's interface, and makes it once more.
type recreater struct{ *job }

// same recreates the interface, which the same Spec made, where it has nothing
// beside what that says.
func (j recreater) same(ctx context.Context, why string) (*Attachment, error) {
	j.site.Exact = true
	_, surplus, err := j.compare(ctx)
	j.site.Exact = false
	switch {
	case err != nil:
		return nil, err
	case len(surplus) > 0:
		return nil, j.refuse(why, texts(surplus))
	}
	return j.recreate(ctx, why)
}

// refuse is the error of an interface that might lose what the Spec does not say, such
// as what is beside.
func (j recreater) refuse(why string, beside []string) error {
	more := "it may have more than this asks for"
	if len(beside) > 0 {
		more = "it has more than this asks for (" + strings.Join(beside, ", ") + ")"
	}
	err := errs.New(fs.ErrExist, "%s, so that it has to be recreated, and %s: detach it, and attach all that it is to have", why, more)
	return j.fail(StageLink, errs.New(errs.ErrStale, "%w", err))
}

// recreate removes the interface, with all that it has, and makes it as the Spec says, with
// the same MAC and MTU where that says none. What has begun is finished when ctx ends. After the
// removal there is no way back: what fails then leaves the guest without the interface.
func (j recreater) recreate(ctx context.Context, why string) (*Attachment, error) {
	if j.plan != nil {
		j.plan.add("recreate the interface, because %s", why)
		return j.read(ctx)
	}
	digest, err := j.spec.digest()
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, j.fail(StageLink, err)
	}
	late, end := finish.Context(ctx)
	defer end()
	j.log(ctx, "recreate", "because", why)
	mtu := j.site.Link.MTU
	if err := j.remove(late); err != nil {
		return nil, err
	}
	j.port.Mark = link.Mark{Link: j.spec.Link.String(), Interface: j.spec.Name, Guest: j.guest.Identity, Spec: digest, Rules: link.FormatRules(j.spec.Rules)}
	if j.spec.MAC != nil {
		j.port.MAC = j.spec.MAC
	}
	if j.spec.MTU == 0 {
		j.port.MTU = mtu
	}
	out, err := j.plug(late)
	if err != nil {
		return nil, j.failed(err)
	}
	out.Existed, out.Mended = true, []string{"recreated because " + why}
	return out, nil
}

// remove removes the interface, and forgets what was known of it.
func (j recreater) remove(ctx context.Context) error {
	if err := j.job.remove(ctx); err != nil {
		return err
	}
	if err := j.spec.Link.Unplug(ctx, &j.port); err != nil {
		if err = j.fail(StageLink, j.stillThere(ctx, err)); j.gone(ctx) {
			return j.failed(err)
		}
		return err
	}
	j.undo = link.Undo{}
	j.port.Name, j.port.Index, j.port.HostName = j.spec.Name, 0, ""
	j.site = parts.Site{Name: j.spec.Name, Port: &j.port, Undo: &j.undo, Log: j.log, Beneath: j.spec.Beneath, Last: j.spec.Last, Known: known(j.job)}
	return nil
}

// plug makes the interface, and ends the change.
func (j recreater) plug(ctx context.Context) (*Attachment, error) {
	if err := j.spec.Link.Plug(ctx, &j.port, &j.undo); err != nil {
		return nil, j.fail(StageLink, err)
	}
	out, err := j.apply(ctx)
	if err != nil {
		return nil, err
	}
	return out, j.end(ctx, out, out.Addrs)
}

// failed is err, of an interface that is gone.
func (j recreater) failed(err error) error {
	e, _ := errors.AsType[*Error](j.fail(StageLink, err))
	failed := *e
	failed.Err = fmt.Errorf("it was removed, and could not be recreated: %w", failed.Err)
	return &failed
}
