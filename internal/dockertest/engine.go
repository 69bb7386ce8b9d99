//go:build linux

package dockertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/ns"
)

// An Engine is a private Docker engine. Its methods end the test when they
// fail; they may be used by several tests at once.
type Engine struct {
	dir    string
	cmd    *exec.Cmd
	life   io.Closer     // the engine lives until this is closed
	ended  chan struct{} // closed when the supervisor has ended
	host   *ns.Guest
	client *client.Client
	image  sync.Once
}

// Options say how an engine differs from Docker's defaults.
type Options struct {
	Args []string // further arguments of dockerd, such as --live-restore
}

// patience bounds everything that an engine is asked to do.
const patience = 60 * time.Second

// Start starts an engine and ends it with the test. It takes about half a
// second. It calls [Require].
func Start(t testing.TB, opts Options) *Engine {
	t.Helper()
	Require(t)
	e, err := launch(opts)
	if err != nil {
		t.Fatalf("start a Docker engine: %v", err)
	}
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Errorf("end the Docker engine: %v", err)
		}
	})
	if err := e.await(); err != nil {
		t.Fatalf("start a Docker engine: %v\n%s", err, e.log())
	}
	return e
}

// Sock is the address of the engine's socket, for DOCKER_HOST.
func (e *Engine) Sock() string { return "unix://" + filepath.Join(e.dir, "docker.sock") }

// HostNS is the network namespace that is the host's to the engine. It is valid
// until the test ends.
func (e *Engine) HostNS() *ns.Handle { return e.host.Handle }

// Client is a client of the engine. It is valid until the test ends.
func (e *Engine) Client() *client.Client { return e.client }

// PID is the process of dockerd.
func (e *Engine) PID(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/run/docker.pid", e.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// Hang stops the engine without ending it: connections are taken, requests get
// no answer. It goes on when resume is called, or when the test ends.
func (e *Engine) Hang(t testing.TB) (resume func()) {
	t.Helper()
	pid := e.PID(t)
	if err := sandbox.Stop(pid); err != nil {
		t.Fatal(err)
	}
	resume = sync.OnceFunc(func() { _ = unix.Kill(pid, unix.SIGCONT) })
	t.Cleanup(resume)
	return resume
}

// Crash ends the engine and all its containers as a power failure would; its
// files, and the host's network, stay. It returns when nothing of them runs.
func (e *Engine) Crash(t testing.TB) {
	t.Helper()
	if err := e.cmd.Process.Signal(powerOff); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/docker.pid", e.cmd.Process.Pid)); err != nil && len(cgroupDirs(cgroupParent(e.dir))) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the engine does not end\n%s", e.log())
		}
	}
}

// Kill ends dockerd alone, by SIGKILL, and returns when it is gone; its containers go on.
func (e *Engine) Kill(t testing.TB) {
	t.Helper()
	pid := e.PID(t)
	if err := e.cmd.Process.Signal(killed); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("dockerd does not end\n%s", e.log())
		}
	}
}

// Enter is the beginning of a command line that runs a program in the namespaces that are the
// host's to the engine.
func (e *Engine) Enter() []string {
	return []string{"nsenter", "-t", strconv.Itoa(e.cmd.Process.Pid), "-m", "-n", "--"}
}

// Boot starts the engine again after a Crash or a Kill, and returns when it answers. It
// starts the containers that are to restart always.
func (e *Engine) Boot(t testing.TB) {
	t.Helper()
	if err := e.cmd.Process.Signal(powerOn); err != nil {
		t.Fatal(err)
	}
	if err := e.answers(); err != nil {
		t.Fatalf("start the engine again: %v\n%s", err, e.log())
	}
}

// launch starts the supervisor and waits for nothing.
func launch(opts Options) (*Engine, error) {
	dir, err := os.MkdirTemp("", "pipework-docker-")
	if err != nil {
		return nil, err
	}
	e := &Engine{dir: dir, ended: make(chan struct{})}
	if err := e.supervised(opts.Args); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	go func() {
		_ = e.cmd.Wait()
		close(e.ended)
	}()
	return e, nil
}

// supervised starts this binary again, in the namespaces that the engine is to
// have, in a session of its own so that an interrupt from the keyboard does
// not reach it. The pipe's end tells it when to stop.
func (e *Engine) supervised(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(e.logPath())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	e.cmd = exec.Command(self, append([]string{"-test.run=^$", "--"}, args...)...)
	e.cmd.Env = append(os.Environ(), dirEnv+"="+e.dir)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if e.life, err = e.cmd.StdinPipe(); err != nil {
		return err
	}
	return e.cmd.Start()
}

// await returns when the engine answers.
func (e *Engine) await() error {
	var err error
	if e.host, err = ns.PID(e.cmd.Process.Pid).Open(context.Background()); err != nil {
		return err
	}
	if e.client, err = client.New(client.WithHost(e.Sock())); err != nil {
		return err
	}
	return e.answers()
}

func (e *Engine) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, err := e.client.Ping(ctx, client.PingOptions{})
		if err == nil {
			return nil
		}
		select {
		case <-e.ended:
			return fmt.Errorf("its supervisor has ended: does TestMain call dockertest.Supervise?")
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the engine and everything it started.
func (e *Engine) stop() error {
	if e.client != nil {
		_ = e.client.Close()
	}
	if e.host != nil {
		_ = e.host.Close()
	}
	_ = e.life.Close()
	select {
	case <-e.ended:
	case <-time.After(patience):
		_ = e.cmd.Process.Kill()
		return fmt.Errorf("its supervisor hangs\n%s", e.log())
	}
	log := e.log()
	err := os.RemoveAll(e.dir)
	if e.cmd.ProcessState.Success() {
		return err
	}
	return fmt.Errorf("%s\n%s", e.cmd.ProcessState, log)
}

func (e *Engine) logPath() string { return filepath.Join(e.dir, "log") }

// log is the end of what the supervisor and the engine said.
func (e *Engine) log() string {
	all, err := os.ReadFile(e.logPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(all), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
