//go:build linux

package lanes

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// GuardVerb is the argument that makes lanerun call Guard.
const GuardVerb = "guard"

// postGuard starts a process that cleans up after a lanerun that could not: it ends the
// guest's process group pgid and removes the box once this process is no more.
func (b box) postGuard(pgid int) (dismiss func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	guard := exec.Command(self, GuardVerb, strconv.Itoa(pgid), b.dir)
	guard.SysProcAttr = &unix.SysProcAttr{Setsid: true} // out of reach of ^C
	if _, err := guard.StdinPipe(); err != nil {
		return nil, err
	}
	if err := guard.Start(); err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	return func() {
		_ = guard.Process.Kill()
		_ = guard.Wait()
	}, nil
}

// Guard is the other end of postGuard: it waits for the end of stdin and cleans up what
// args name.
func Guard(stdin io.Reader, args []string) error {
	if len(args) != 2 {
		return errors.New("guard is started by lanerun only")
	}
	pgid, err := strconv.Atoi(args[0])
	if err != nil || pgid <= 1 {
		return fmt.Errorf("guard: process group %q", args[0])
	}
	if _, err := io.Copy(io.Discard, stdin); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	_ = unix.Kill(-pgid, unix.SIGKILL)
	return os.RemoveAll(args[1])
}
