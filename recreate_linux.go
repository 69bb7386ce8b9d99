package pipework

import (
	"context"

	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/link"
)

// stale says why the interface, which is there, is to be made anew; "": it is not.
func (j *job) stale(ctx context.Context) (why string, err error) {
	b, may := j.spec.Link.(link.Staler)
	if !may || j.port.Mark.Link != j.spec.Link.String() {
		return "", nil
	}
	if why, err = b.Stale(ctx, &j.port); err != nil {
		return "", j.fail(StageLink, err)
	}
	return why, nil
}

// recreate takes away what is stale, with all that it has, and plugs in what the Spec asks for,
// as in a guest that has begun anew. After an error of the latter there is neither: what is
// stale cannot be made again.
func (j *job) recreate(ctx context.Context, asked link.Mark, why string) (*Attachment, error) {
	j.log(ctx, "make anew", "because", why)
	if err := j.remove(ctx); err != nil {
		return nil, err
	}
	if err := j.spec.Link.Unplug(ctx, &j.port); err != nil {
		return nil, j.fail(StageLink, j.stillThere(ctx, err))
	}
	j.undo = link.Undo{}
	j.port.Name, j.port.Index, j.port.HostName, j.port.Mark = j.spec.Name, 0, "", asked
	if j.spec.MAC != nil {
		j.port.MAC = j.spec.MAC
	}
	j.site = parts.Site{Name: j.spec.Name, Port: &j.port, Undo: &j.undo, Log: j.log, Beneath: j.spec.Beneath}
	if err := j.spec.Link.Plug(ctx, &j.port, &j.undo); err != nil {
		return nil, j.fail(StageLink, err)
	}
	return j.apply(ctx)
}
