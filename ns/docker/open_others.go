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

// Follow answers errors.ErrUnsupported on this system.
func (e Engine) Follow(context.Context, func(), func(ns.Event)) error {
	return errs.New(errors.ErrUnsupported, "follow containers: works on Linux only")
}

// Running answers errors.ErrUnsupported on this system.
func (e Engine) Running(context.Context) ([]string, error) {
	return nil, errs.New(errors.ErrUnsupported, "list containers: works on Linux only")
}

// Describe answers errors.ErrUnsupported on this system.
func (e Engine) Describe(context.Context, string) (*ns.Container, error) {
	return nil, errs.New(errors.ErrUnsupported, "describe containers: works on Linux only")
}
