package podman

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

// Open finds the container and holds its network namespace open.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	owner, name := c.split()
	if owner == "" {
		return c.engine().Container(name).Open(ctx)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := fault.Step(ctx, "look up user"); err != nil {
		return nil, err
	}
	u, err := lookUp(owner)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	engine := c.engine()
	engine.Host = fmt.Sprintf("unix:///run/user/%d/podman/podman.sock", uid)
	g, err := engine.Container(name).Open(ctx)
	if err != nil {
		return nil, err
	}
	if !process.Belongs(g, uid) {
		_ = g.Close()
		return nil, errs.New(fs.ErrPermission, "container %s: process %d is not in a namespace of user %s: refused", name, g.PID, u.Username)
	}
	return g, nil
}
