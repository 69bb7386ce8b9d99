//go:build !linux

package lxc

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Open answers errors.ErrUnsupported on this system.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	return Dir("").Container(string(c)).Open(ctx)
}

func (t target) Open(context.Context) (*ns.Guest, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return nil, errs.Absent(errors.ErrUnsupported, "LXC works on Linux only")
}
