//go:build !linux

package cgroup

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Open answers errors.ErrUnsupported on this system.
func (g Group) Open(context.Context) (*ns.Guest, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return nil, errs.Absent(errors.ErrUnsupported, "control groups are Linux's")
}
