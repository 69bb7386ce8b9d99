//go:build !linux

package program

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework"
)

// A Running is a program that keeps a lease: not here.
type Running struct{}

// Wait needs Linux.
func (*Running) Wait(context.Context) error { return errors.ErrUnsupported }

func (*Client) attach(context.Context, *pipework.Attacher, pipework.Target, pipework.Spec) (*pipework.Attachment, *Running, error) {
	return nil, nil, errors.ErrUnsupported
}

func runs(context.Context, pipework.Target, string) (bool, error) {
	return false, errors.ErrUnsupported
}

func end(context.Context, pipework.Target, string) error { return errors.ErrUnsupported }
