//go:build !linux

package uplink

import (
	"context"
	"errors"
	"fmt"
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
