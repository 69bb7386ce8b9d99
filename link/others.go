//go:build !linux

package link

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/ns"
)

// Plug needs Linux.
func (Bridge) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Bridge) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Bridge) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// UnplugAll needs Linux.
func (Bridge) UnplugAll(_ context.Context, calls []*Call) {
	for _, c := range calls {
		c.Err = errors.ErrUnsupported
	}
}

// Plug needs Linux.
func (Macvlan) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Macvlan) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Macvlan) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Plug needs Linux.
func (Ipvlan) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Ipvlan) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Ipvlan) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Plug needs Linux.
func (VLAN) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (VLAN) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (VLAN) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Plug needs Linux.
func (Veth) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Veth) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Veth) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// UnplugAll needs Linux.
func (Veth) UnplugAll(ctx context.Context, calls []*Call) { Bridge{}.UnplugAll(ctx, calls) }

// Check needs Linux.
func (pairByMark) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (pairByMark) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Plug needs Linux.
func (Dummy) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Dummy) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Dummy) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Plug needs Linux.
func (IPoIB) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (IPoIB) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (IPoIB) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Plug needs Linux.
func (Phys) Plug(context.Context, *Port, *Undo) error { return errors.ErrUnsupported }

// Check needs Linux.
func (Phys) Check(context.Context, *Port) ([]Drift, error) { return nil, errors.ErrUnsupported }

// Unplug needs Linux.
func (Phys) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Collect needs Linux.
func Collect(context.Context, Host) ([]Collected, error) { return nil, errors.ErrUnsupported }

// Detect needs Linux.
func Detect(context.Context, Host, string, OVSLookup) (Backend, error) {
	return nil, errors.ErrUnsupported
}

func (unmarked) Unplug(context.Context, *Port) error { return errors.ErrUnsupported }

// Await needs Linux.
func Await(context.Context, *ns.Handle, string, State) error { return errors.ErrUnsupported }
