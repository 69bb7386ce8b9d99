package ovstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/ns"
)

// A Process is a daemon that runs in the foreground.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts a program inside a namespace (nil: this one), for the length of
// the test, and closes this process's end of its log.
func start(t testing.TB, at *ns.Handle, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread() // for Pdeathsig, and for the namespace: the thread ends with the goroutine
		err := p.startIn(at)
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	err := <-started
	if log, ok := cmd.Stdout.(*os.File); ok {
		_ = log.Close()
	}
	if err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	t.Cleanup(p.Kill)
	return p
}

func (p *Process) startIn(at *ns.Handle) error {
	if at != nil {
		if err := netns.Set(at.NetNS()); err != nil {
			return err
		}
	}
	return p.cmd.Start()
}

// Kill ends the process at once, if it still runs, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// Stop halts the process, as in a debugger; Continue lets it go on.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if err := sandbox.Stop(p.cmd.Process.Pid); err != nil {
		t.Error(err)
	}
}

// Continue is the reverse of Stop.
func (p *Process) Continue(t testing.TB) { p.signal(t, syscall.SIGCONT) }

func (p *Process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// wait waits some seconds for the end of the process.
func (p *Process) wait(d time.Duration) error {
	select {
	case <-p.ended:
		return nil
	case <-time.After(d):
		return errors.New("still running")
	}
}

// program finds a program, also where only root's PATH leads.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// run runs a program and returns what it prints.
func run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	out, err := output(env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func output(env []string, name string, args ...string) (string, error) {
	path, err := program(name)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return string(text), nil
}
