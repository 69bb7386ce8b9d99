//go:build !linux

package docker

import (
	"context"
	"errors"
)

func makeRoom(string) error   { return errors.ErrUnsupported }
func removeRoom(string) error { return errors.ErrUnsupported }

func (d rooms) toHost(context.Context, *endpoint) error { return errors.ErrUnsupported }

func (d rooms) fromHost(context.Context, *endpoint) (string, error) {
	return "", errors.ErrUnsupported
}

func (d rooms) waits(context.Context, *endpoint) (bool, error) { return false, errors.ErrUnsupported }
