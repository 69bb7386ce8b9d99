//go:build !linux

package uplink

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

var errUnimplemented = fmt.Errorf("uplink: %w", errors.ErrUnsupported)

func (p Plan) move(context.Context) (*Moved, error)                 { return nil, errUnimplemented }
func (p Plan) examine(context.Context) (*Examined, error)           { return nil, errUnimplemented }
func (p Plan) list(context.Context) ([]Status, error)               { return nil, errUnimplemented }
func (p Plan) mend(context.Context) ([]string, error)               { return nil, errUnimplemented }
func (p Plan) config(context.Context, string) ([]ConfigFile, error) { return nil, errUnimplemented }
func (p Plan) undo(context.Context) (*Moved, error)                 { return nil, errUnimplemented }

func (p Plan) confirm(context.Context) error         { return errUnimplemented }
func (p Plan) guard(context.Context) (*Moved, error) { return nil, errUnimplemented }

func leases(context.Context, *keep.Store, *ns.Handle) ([]dhcp.Kept, error) {
	return nil, errUnimplemented
}
func (s Shim) add(context.Context) (*Shimmed, error)        { return nil, errUnimplemented }
func (s Shim) remove(context.Context) (*Shimmed, error)     { return nil, errUnimplemented }
func follow(context.Context, *keep.Store, *ns.Handle) error { return errUnimplemented }
