//go:build !linux

package firewall

import (
	"context"
	"errors"
)

// Check needs Linux.
func (Bridge) Check(context.Context) (Advice, error) { return Advice{}, errors.ErrUnsupported }

// Accept needs Linux.
func (Bridge) Accept(context.Context) (bool, Advice, error) {
	return false, Advice{}, errors.ErrUnsupported
}

// Remove needs Linux.
func (Bridge) Remove(context.Context) error { return errors.ErrUnsupported }

// Bridges needs Linux.
func Bridges(context.Context, Do) ([]string, error) { return nil, errors.ErrUnsupported }
