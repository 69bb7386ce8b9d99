//go:build !linux

package pipework

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
)

type extra struct{}

func unsupported(op string) error {
	return &Error{Op: op, Stage: StageGuest, Err: errors.ErrUnsupported}
}

// Attach needs Linux.
func (a *Attacher) Attach(context.Context, Target, Spec) (*Attachment, error) {
	return nil, unsupported("attach")
}

// Update needs Linux.
func (a *Attacher) Update(context.Context, Target, Spec) (*Attachment, error) {
	return nil, unsupported("update")
}

// Adopt needs Linux.
func (a *Attacher) Adopt(context.Context, Target, Spec) (string, error) {
	return "", unsupported("adopt")
}

// Detach needs Linux.
func (a *Attacher) Detach(context.Context, Target, Spec) (bool, error) {
	return false, unsupported("detach")
}

// AttachAll needs Linux.
func (a *Attacher) AttachAll(_ context.Context, jobs []Job) ([]*Attachment, error) {
	return make([]*Attachment, len(jobs)), unsupported("attach")
}

// DetachAll needs Linux.
func (a *Attacher) DetachAll(_ context.Context, jobs []Job) ([]bool, error) {
	return make([]bool, len(jobs)), unsupported("detach")
}

// Plan needs Linux.
func (a *Attacher) Plan(context.Context, Target, Spec) (*Attachment, error) {
	return nil, unsupported("attach")
}

// List needs Linux.
func (a *Attacher) List(context.Context, ...Target) ([]*Attachment, error) {
	return nil, unsupported("list")
}

// Check needs Linux.
func (a *Attacher) Check(context.Context, Target, Spec) (*Attachment, error) {
	return nil, unsupported("check")
}

// Collect needs Linux.
func (a *Attacher) Collect(context.Context) ([]link.Collected, error) {
	return nil, unsupported("collect")
}

// Orphans needs Linux.
func (a *Attacher) Orphans(context.Context) ([]link.Collected, error) {
	return nil, unsupported("collect")
}

// Detect needs Linux.
func (a *Attacher) Detect(context.Context, string, link.OVSLookup) (link.Backend, error) {
	return nil, unsupported("detect")
}

// Kept has nothing to keep.
func (a *Attacher) Kept(Target, Spec, *Attachment) []dhcp.Kept { return nil }
