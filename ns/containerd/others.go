//go:build !linux

package containerd

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Open answers errors.ErrUnsupported on this system.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	return State("").Container(string(c)).Open(ctx)
}

func (t target) Open(context.Context) (*ns.Guest, error) {
	if _, _, err := t.split(); err != nil {
		return nil, err
	}
	return nil, errs.Absent(errors.ErrUnsupported, "containers of containerd are opened on Linux only")
}
