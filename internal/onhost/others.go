//go:build !linux

package onhost

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Do needs Linux.
func Do(context.Context, *ns.Handle, func(link.Host) error) error { return errors.ErrUnsupported }
