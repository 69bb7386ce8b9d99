//go:build !linux

package ns

import (
	"context"
	"errors"
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

// Dial needs Linux.
func Dial(context.Context) (*Conn, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (*Conn) Close() error { return nil }

// Inode is zero.
func (*Handle) Inode() Inode { return Inode{} }

// Close does nothing.
func (*Handle) Close() error { return nil }

// Do needs Linux.
func (*Handle) Do(context.Context, func() error) error { return errors.ErrUnsupported }

// Start needs Linux.
func (*Handle) Start(context.Context, Command) error { return errors.ErrUnsupported }

// Exec needs Linux.
func (*Handle) Exec(context.Context, Command) error { return errors.ErrUnsupported }

// Open needs Linux.
func (PID) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }

// Open needs Linux.
func (Path) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }

// Open needs Linux.
func (Named) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }

// Alive needs Linux.
func (*Guest) Alive() error { return errors.ErrUnsupported }

// Here needs Linux.
func (*Guest) Here() (bool, error) { return false, errors.ErrUnsupported }

// Again finds nothing.
func (*Guest) Again() Target { return Named("") }

// BootID is "".
func BootID() string { return "" }

// Cookie is 0.
func (*Conn) Cookie() uint64 { return 0 }

// Open needs Linux.
func (Instance) Open(context.Context) (*Guest, error) { return nil, errors.ErrUnsupported }
