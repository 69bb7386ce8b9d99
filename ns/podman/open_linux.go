package podman

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
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
	if !belongs(g, uid) {
		_ = g.Close()
		return nil, errs.New(fs.ErrPermission, "container %s: process %d is not in a namespace of user %s: refused", name, g.PID, u.Username)
	}
	return g, nil
}

// belongs tells whether a network namespace is that of a user namespace which the
// user made, or of one in it; see ioctl_ns(2).
func belongs(g *ns.Guest, uid int) bool {
	if uid == 0 {
		return true
	}
	fd, err := unix.IoctlRetInt(int(g.NetNS()), unix.NS_GET_USERNS)
	for err == nil {
		owner, ownerErr := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
		parent, parentErr := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		_ = unix.Close(fd)
		if ownerErr == nil && int(owner) == uid {
			if parentErr == nil {
				_ = unix.Close(parent)
			}
			return true
		}
		fd, err = parent, parentErr
	}
	return false
}
