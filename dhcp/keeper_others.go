//go:build !linux

package dhcp

import (
	"context"
	"errors"
)

type watch struct{}

func newWatch() (*watch, error)               { return nil, errors.ErrUnsupported }
func (*watch) close()                         {}
func (*watch) add(*entry) error               { return nil }
func (*watch) wait() []int                    { return nil }
func (*entry) dead() error                    { return nil }
func (*entry) forget()                        {}
func (*entry) identify(context.Context) error { return errors.ErrUnsupported }

func openSession(context.Context, *entry) (session, error) { return nil, errors.ErrUnsupported }
