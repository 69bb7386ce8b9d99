package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

// Open finds the machine and holds its network namespace open; see [Dir.Machine]
// for the errors and privileges.
func (m Machine) Open(ctx context.Context) (*ns.Guest, error) {
	return Dir("").Machine(string(m)).Open(ctx)
}

func (t target) Open(ctx context.Context) (*ns.Guest, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := fault.Step(ctx, "read machine state"); err != nil {
		return nil, err
	}
	return process.Open(ctx, func(context.Context) (ns.Identity, error) {
		pid, err := t.leader()
		return ns.Identity{Name: t.name, PID: pid}, err
	})
}

func (d Dir) path() string {
	if d == "" {
		return "/run/systemd/machines"
	}
	return string(d)
}

// leader returns the machine's first process, as systemd-machined noted it.
func (t target) leader() (int, error) {
	text, err := os.ReadFile(filepath.Join(t.dir.path(), t.name))
	if err != nil {
		return 0, t.readError(err)
	}
	state := parse(string(text))
	if class := state["CLASS"]; class == "vm" {
		return 0, errs.New(fs.ErrInvalid, "machine %s is a virtual machine: it has no network namespace to plug into", t.name)
	}
	pid, err := strconv.Atoi(state["LEADER"])
	if err != nil || pid <= 0 || state["SCOPE"] == "" {
		return 0, errs.New(fs.ErrNotExist, "machine %s is starting", t.name)
	}
	inUnit := func(group string) bool { return path.Base(group) == state["SCOPE"] }
	if !process.InGroup(pid, inUnit) {
		return 0, errs.New(fs.ErrNotExist, "machine %s has ended: process %d is not in %s", t.name, pid, state["SCOPE"])
	}
	return pid, nil
}

func (t target) readError(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for machine %s: %w", t.name, err)
	}
	if _, err := os.Lstat(t.dir.path()); err != nil {
		return errs.Absent(fs.ErrNotExist, "no systemd-machined here: there is no %s; give the PID of the container's first process instead, as in pid:1234", t.dir.path())
	}
	return errs.Unknown("no machine %q is registered: see machinectl list", t.name)
}

// parse reads KEY=value lines, as written by machine_save in systemd's
// src/machine/machine.c; values that need it are quoted as for a shell.
func parse(text string) map[string]string {
	state := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		state[key] = strings.Trim(value, `"`)
	}
	return state
}
