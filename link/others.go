//go:build !linux

package link

import (
	"context"
	"errors"
)

// Plug needs Linux.
func (Bridge) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Bridge) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Bridge) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }
