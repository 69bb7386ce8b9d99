package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/cgroup"
)

// Open finds the container and holds its network namespace open; see
// [Dir.Container] for the errors and privileges.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	return Dir("").Container(string(c)).Open(ctx)
}

func (t target) Open(ctx context.Context) (*ns.Guest, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	dir := t.dir.path()
	var uid int
	g, err := process.Open(ctx, func(ctx context.Context) (ns.Identity, error) {
		m, err := t.ask(ctx, dir, getInitPID)
		if err != nil {
			return ns.Identity{}, err
		}
		uid = int(m.peer.Uid)
		return ns.Identity{Name: t.name, PID: m.pid}, nil
	})
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return t.openGroup(ctx, dir)
	case err != nil:
		return nil, err
	case !process.Belongs(g, uid):
		_ = g.Close()
		return nil, errs.New(fs.ErrPermission, "container %s: process %d is not in a namespace of user %d, who answers for it: refused", t.name, g.PID, uid)
	}
	if uid == 0 && !t.inGroupOf(g.PID, dir, payload) {
		err := errs.New(fs.ErrPermission, "container %s: process %d, which answers a program of root's for it, is not in a control group of the container: refused", t.name, g.PID)
		_ = g.Close()
		return nil, errs.New(errs.ErrUnknown, "%w", err)
	}
	if err := g.Alive(); err != nil { // its group was read by its number
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// openGroup is for a container whose monitor does not listen where it should.
func (t target) openGroup(ctx context.Context, dir string) (*ns.Guest, error) {
	g, err := cgroup.Group("lxc.payload." + t.name).Open(ctx)
	if err == nil {
		g.Name = t.name
		return g, nil
	}
	if !errors.Is(err, errs.ErrUnknown) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errs.ErrAbsent) {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, t.name)); err == nil {
		return nil, errs.New(fs.ErrNotExist, "container %s is stopped: start it with lxc-start %s", t.name, t.name)
	}
	if _, err := os.Lstat(dir); err != nil {
		return nil, errs.Absent(fs.ErrNotExist, "no LXC here: there is no %s", dir)
	}
	return nil, errs.Unknown("no container %q: see lxc-ls", t.name)
}

// path is the directory, as lxc.system.conf(5) says it.
func (d Dir) path() string {
	if d != "" {
		return filepath.Clean(string(d))
	}
	if path := setting("/etc/lxc/lxc.conf", "lxc.lxcpath"); path != "" {
		return filepath.Clean(path)
	}
	return "/var/lib/lxc"
}

// evaluate tells why who listens at the socket is not to be asked. Somebody who must
// not speak for the container does not make its name known either: nobody can make
// a bare name of another runtime's ambiguous by listening here.
func (t target) evaluate(peer *unix.Ucred, dir string) error {
	switch {
	case peer.Pid <= 0:
		return errs.New(errors.ErrUnsupported, "container %s: its monitor is in another PID namespace: run this program in the host's", t.name)
	case !trusted(peer.Uid, dir):
		err := errs.New(fs.ErrPermission, "container %s: its socket belongs to user %d (process %d), who is neither root nor the owner of %s: refused", t.name, peer.Uid, peer.Pid, dir)
		return errs.New(errs.ErrUnknown, "%w", err)
	}
	return nil
}

// trusted tells whether a user may speak for the containers in a directory.
func trusted(uid uint32, dir string) bool {
	if uid == 0 || int(uid) == os.Geteuid() {
		return true
	}
	info, err := os.Stat(dir)
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == uid
}

func hung(ctx context.Context, name string) error {
	return fmt.Errorf("the monitor of container %s does not answer: %w", name, context.Cause(ctx))
}
