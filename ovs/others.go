//go:build !linux

package ovs

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/link"
)

// Plug needs Linux.
func (Bridge) Plug(context.Context, *link.Port, *link.Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Bridge) Check(context.Context, *link.Port) ([]link.Drift, error) {
	return nil, errors.ErrUnsupported
}

// Unplug needs Linux.
func (Bridge) Unplug(context.Context, *link.Port) error { return errors.ErrUnsupported }

// PlugAll needs Linux.
func (Bridge) PlugAll(_ context.Context, calls []*link.Call) { unsupported(calls) }

// UnplugAll needs Linux.
func (Bridge) UnplugAll(_ context.Context, calls []*link.Call) { unsupported(calls) }

func unsupported(calls []*link.Call) {
	for _, c := range calls {
		c.Err = errors.ErrUnsupported
	}
}

// Collect needs Linux.
func (*Client) Collect(context.Context, link.Host) ([]link.Collected, error) {
	return nil, errors.ErrUnsupported
}

// Orphans needs Linux.
func (*Client) Orphans(context.Context, link.Host) ([]link.Collected, error) {
	return nil, errors.ErrUnsupported
}

// Reap needs Linux.
func (Bridge) Reap(context.Context, *link.Port) (bool, error) { return false, errors.ErrUnsupported }

// Filter needs Linux.
func (Bridge) Filter(context.Context, *link.Port) (link.Filter, error) {
	return nil, errors.ErrUnsupported
}

type leaver struct{}
