//go:build !linux

package podman

import (
	"context"

	"github.com/go-pipework/pipework/ns"
)

// Open answers errors.ErrUnsupported on this system.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	_, name := c.split()
	return c.engine().Container(name).Open(ctx)
}
