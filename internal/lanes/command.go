//go:build linux

package lanes

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/lanes/guest"
)

const (
	defaultTimeout = 2 * time.Minute
	defaultMemory  = 512 // megabytes
)

// A Command is a program to run in a guest.
type Command struct {
	Args    []string      // the program, as a path, and its arguments
	Dir     string        // its working directory; "" means that of this process
	Env     []string      // what the guest takes its environment from; nil means that of this process
	Stdout  io.Writer     // gets what it writes, as it writes it
	Stderr  io.Writer     // may be the same file as Stdout
	Timeout time.Duration // from boot to end; 0 means two minutes
	Memory  int           // of the guest, in megabytes; 0 means 512
}

// complete fills in the defaults and refuses what the guest could not see.
func (cmd *Command) complete() error {
	if len(cmd.Args) == 0 {
		return errors.New("no program to run")
	}
	if cmd.Timeout == 0 {
		cmd.Timeout = defaultTimeout
	}
	if cmd.Memory == 0 {
		cmd.Memory = defaultMemory
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	path, err := exec.LookPath(cmd.Args[0])
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	cmd.Args = append([]string{path}, cmd.Args[1:]...)
	if cmd.Dir, err = filepath.Abs(cmd.Dir); err != nil {
		return err
	}
	if err := visible(cmd.Dir); err != nil {
		return err
	}
	return visible(path)
}

// visible refuses files in those folders that are the guest's own.
func visible(path string) error {
	for _, own := range []string{"/run", "/dev", "/proc", "/sys"} {
		if strings.HasPrefix(path+"/", own+"/") {
			return fmt.Errorf("the guest cannot see %s, having its own %s: use another folder", path, own)
		}
	}
	return nil
}

// job is what the guest is told of the command.
func (m machine) job(cmd Command, lane string) guest.Job {
	env := []string{"PIPEWORK_LANE=" + lane, "PWD=" + cmd.Dir}
	env = append(env, m.env...)
	return guest.Job{
		Args:    cmd.Args,
		Env:     append(env, passed(cmd.Env)...), // of two entries the first counts
		Dir:     cmd.Dir,
		Merged:  sameFile(cmd.Stdout, cmd.Stderr),
		Results: resultFiles(cmd.Args[1:], cmd.Dir),
		Modules: m.modules,
		Load:    m.load,
		Up:      m.up,
	}
}

// passed is the part of the environment env that the guest gets.
func passed(env []string) []string {
	var kept []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case name == "HOME", name == "PATH", name == "GOTRACEBACK", strings.HasPrefix(name, "PIPEWORK_"):
			kept = append(kept, entry)
		}
	}
	return kept
}

// sameFile says whether a and b lead to one place, so that the order of what is
// written to either matters.
func sameFile(a, b io.Writer) bool {
	fileA, okA := a.(*os.File)
	fileB, okB := b.(*os.File)
	if !okA || !okB {
		return false
	}
	infoA, errA := fileA.Stat()
	infoB, errB := fileB.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
