//go:build !linux

package firewall

import (
	"context"
	"errors"
)

// Check needs Linux.
func (Bridge) Check(context.Context) (string, error) { return "", errors.ErrUnsupported }

// Accept needs Linux.
func (Bridge) Accept(context.Context) (string, bool, error) {
	return "", false, errors.ErrUnsupported
}

// Remove needs Linux.
func (Bridge) Remove(context.Context) error { return errors.ErrUnsupported }
