//go:build !linux

package docker

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Open answers errors.ErrUnsupported on this system.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	return Engine{}.Container(string(c)).Open(ctx)
}

func (t target) Open(context.Context) (*ns.Guest, error) {
	ref, err := reference(t.name)
	if err != nil {
		return nil, err
	}
	return nil, errs.New(errors.ErrUnsupported, "open container %s: works on Linux only", ref)
}
