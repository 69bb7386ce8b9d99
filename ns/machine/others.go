//go:build !linux

package machine

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Open answers errors.ErrUnsupported on this system.
func (m Machine) Open(ctx context.Context) (*ns.Guest, error) {
	return Dir("").Machine(string(m)).Open(ctx)
}

func (t target) Open(context.Context) (*ns.Guest, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return nil, errs.Absent(errors.ErrUnsupported, "systemd-machined works on Linux only")
}
