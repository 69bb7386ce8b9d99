package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

// tasks is the state directory's part that holds a directory a namespace, and in
// each a directory a container with a task.
const tasks = "io.containerd.runtime.v2.task"

// Open finds the container and holds its network namespace open; see
// [State.Container] for the errors and privileges.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	return State("").Container(string(c)).Open(ctx)
}

func (t target) Open(ctx context.Context) (*ns.Guest, error) {
	namespace, id, err := t.split()
	if err != nil {
		return nil, err
	}
	if err := fault.Step(ctx, "read containerd state"); err != nil {
		return nil, err
	}
	if namespace == "" {
		if namespace, err = t.state.namespaceOf(id); err != nil {
			return nil, err
		}
	}
	return process.Open(ctx, func(context.Context) (ns.Identity, error) {
		pid, err := t.state.initPID(namespace, id)
		return ns.Identity{Name: id, ID: namespace + "/" + id, PID: pid}, err
	})
}

func (s State) dir() string {
	if s != "" {
		return string(s)
	}
	if address := strings.TrimPrefix(os.Getenv("CONTAINERD_ADDRESS"), "unix://"); filepath.IsAbs(address) {
		return filepath.Dir(address)
	}
	return "/run/containerd"
}

// namespaceOf returns the only namespace that has a container with this ID.
func (s State) namespaceOf(id string) (string, error) {
	all, err := os.ReadDir(filepath.Join(s.dir(), tasks))
	if err != nil {
		return "", s.readError(err)
	}
	var found []string
	for _, e := range all {
		if _, err := os.Lstat(filepath.Join(s.dir(), tasks, e.Name(), id)); err == nil {
			found = append(found, "containerd:"+e.Name()+"/"+id)
		}
	}
	switch len(found) {
	case 0:
		return "", errs.Unknown("no task of containerd is called %q: see ctr -n NAMESPACE task ls", id)
	case 1:
		return strings.Split(found[0][len("containerd:"):], "/")[0], nil
	}
	return "", errs.New(fs.ErrInvalid, "several namespaces of containerd have %q: say which: %s", id, strings.Join(found, ", "))
}

func (s State) readError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CONTAINERD_ADDRESS") == "":
		return errs.Absent(fs.ErrNotExist, "no containerd here: there is no %s", filepath.Join(s.dir(), tasks))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG):
		return errs.Unknown("there is no %s: does CONTAINERD_ADDRESS name containerd's socket?", filepath.Join(s.dir(), tasks))
	case errors.Is(err, fs.ErrPermission):
		return errs.New(fs.ErrPermission, "read %s: permission denied (run as root)", filepath.Join(s.dir(), tasks))
	}
	return fmt.Errorf("look for containerd's containers: %w", err)
}

// initPID returns the container's first process, as the shim noted it.
func (s State) initPID(namespace, id string) (int, error) {
	bundle := filepath.Join(s.dir(), tasks, namespace, id)
	text, err := os.ReadFile(filepath.Join(bundle, "init.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, s.missing(namespace, id)
	}
	if err != nil {
		return 0, s.readError(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return 0, errs.New(fs.ErrNotExist, "container %s of containerd is starting", id)
	}
	group, err := groupOf(bundle, id)
	if err != nil {
		return 0, err
	}
	if !process.InGroup(pid, group) {
		return 0, errs.New(fs.ErrNotExist, "container %s has ended: start it with ctr -n %s task start %s", id, namespace, id)
	}
	return pid, nil
}

// missing says why there is no file with a PID.
func (s State) missing(namespace, id string) error {
	if _, err := os.Lstat(filepath.Join(s.dir(), tasks)); err != nil {
		return s.readError(err)
	}
	if _, err := os.Lstat(filepath.Join(s.dir(), tasks, namespace, id)); err == nil {
		return errs.New(fs.ErrNotExist, "container %s of containerd is starting, or is none of runc's", id)
	}
	return errs.Unknown("no task of containerd is called %q in namespace %q: see ctr -n %s task ls", id, namespace, namespace)
}
