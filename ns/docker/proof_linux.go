package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// prove makes sure that the process g holds is a process of c. The engine's
// word is older than g: the container may have ended since, and its number may
// have gone to another process. Whatever is read by that number counts only if
// g's process is still alive afterwards.
func (s *session) prove(ctx context.Context, g *ns.Guest, c *container) error {
	if inGroupOf(g.PID, c.ID) {
		return s.stillThere(g, c)
	}
	if err := s.sharesPIDs(c); err != nil {
		return err
	}
	again, err := s.inspect(ctx, c.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return s.moved(c)
	}
	if err != nil {
		return err
	}
	if !sameStart(c, again) {
		return s.moved(c)
	}
	return s.stillThere(g, c)
}

func (s *session) stillThere(g *ns.Guest, c *container) error {
	if g.Alive() != nil {
		return s.moved(c)
	}
	return nil
}

// sameStart tells whether two answers of the engine mean the same process.
func sameStart(a, b *container) bool {
	return a.ID == b.ID && b.State.Running && !b.State.Restarting &&
		a.State.Pid == b.State.Pid && a.State.StartedAt == b.State.StartedAt
}

// idLength is how many hexadecimal digits a container's full ID has.
const idLength = 64

// lastID is the last full container ID in the path of a control group, be it
// /docker/ID, docker-ID.scope or libpod-ID; "" when there is none.
func lastID(path string) (id string) {
	for i, digits := 0, 0; i < len(path); i++ {
		if digits++; !charset.Hex(path[i]) {
			digits = 0
		}
		if digits == idLength {
			id, digits = path[i+1-idLength:i+1], 0
		}
	}
	return id
}

// inGroupOf tells whether a process is in a control group of the container with
// this ID, see cgroups(7). In a container inside a container the innermost
// counts. Without control groups (podman run --cgroups=disabled) it is false.
func inGroupOf(pid int, id string) bool {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && namesGroup(string(groups), id)
}

// namesGroup reads what is in /proc/PID/cgroup: one line a hierarchy.
func namesGroup(groups, id string) bool {
	for path := range strings.Lines(groups) {
		if lastID(path) == id {
			return true
		}
	}
	return false
}

// foreign is the error for an engine whose process numbers are not ours.
func (s *session) foreign(c *container) error {
	return errs.New(errors.ErrUnsupported, "container %s: the engine at %s counts processes in another PID namespace: run this program in the host's (%s run --pid=host)", label(c), s.host, s.program)
}

// sharesPIDs is nil where the engine counts processes as we do, and else says that it
// does not, or that we may not ask. Its own PID, as the kernel translated it for us, is 0
// where we cannot see the engine.
func (s *session) sharesPIDs(c *container) error {
	if s.peer <= 0 {
		return s.foreign(c)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.peer))
	if errors.Is(err, fs.ErrPermission) {
		return errs.New(fs.ErrPermission, "container %s: look at the process %d of the engine at %s: needs CAP_SYS_PTRACE (run as root; in a container with --cap-add SYS_PTRACE)", label(c), s.peer, s.host)
	}
	if err != nil {
		return s.foreign(c)
	}
	if ours, err := os.Readlink("/proc/self/ns/pid"); err != nil || ours != theirs {
		return s.foreign(c)
	}
	return nil
}
