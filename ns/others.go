//go:build !linux

package ns

import (
	"context"
	"errors"
	"os/exec"
)

// A Handle is a network namespace held open; there are none on this system.
type Handle struct{}

// A Conn is a route-netlink connection; there is none on this system.
type Conn struct{}

// A Guest is a namespace held open together with who it belongs to.
type Guest struct {
	*Handle
	Identity
}

// Current needs Linux.
func Current() (*Handle, error) { return nil, errors.ErrUnsupported }

// Inode is zero.
func (*Handle) Inode() Inode { return Inode{} }

// Close does nothing.
func (*Handle) Close() error { return nil }

// Do needs Linux.
func (*Handle) Do(context.Context, func() error) error { return errors.ErrUnsupported }

// Start needs Linux.
func (*Handle) Start(context.Context, *exec.Cmd) error { return errors.ErrUnsupported }

// Exec needs Linux.
func (*Handle) Exec(context.Context, *exec.Cmd) error { return errors.ErrUnsupported }

// Open needs Linux.
func (PID) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }

// Open needs Linux.
func (Path) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }

// Open needs Linux.
func (Named) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }
