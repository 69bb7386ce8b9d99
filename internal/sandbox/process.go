//go:build linux

package sandbox

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// guestArg makes the re-executed program a guest that only waits.
const guestArg = "pipework-sandbox-guest"

// A Process is a guest that has a process: a stand-in for a container.
type Process struct {
	PID int
	cmd *exec.Cmd // its standard input stays open as long as this process lives
}

// Start starts a process in a network namespace of its own. The calling program
// must begin with [GuestMain]. Only for a sandbox.
func Start() (*Process, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = guestArg
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a guest: %w", err)
	}
	p := &Process{PID: cmd.Process.Pid, cmd: cmd}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		_ = p.Kill()
		return nil, fmt.Errorf("start a guest: it ended at once: %w", err)
	}
	return p, nil
}

// Kill ends the guest as abruptly as can be, and waits for its end.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill()
	if err := p.cmd.Wait(); p.cmd.ProcessState == nil {
		return err // it was never started, or somebody else waited
	}
	return nil
}

// GuestMain is the whole life of a process that [Start] started: it starts
// its network, says that it is ready, and waits until its parent ends. In any
// other process it does nothing.
func GuestMain() {
	if os.Args[0] != guestArg {
		return
	}
	if err := StartNetwork(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(".")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
