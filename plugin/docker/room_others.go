//go:build !linux

package docker

import (
	"context"
	"errors"
)

func makeRoom(string) error   { return errors.ErrUnsupported }
func removeRoom(string) error { return errors.ErrUnsupported }

func (d *Driver) toHost(context.Context, *endpoint) error { return errors.ErrUnsupported }

func (d *Driver) fromHost(context.Context, *endpoint) (string, error) {
	return "", errors.ErrUnsupported
}

func (d *Driver) waits(context.Context, *endpoint) (bool, error) { return false, errors.ErrUnsupported }
