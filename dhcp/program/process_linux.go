package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	procs "github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

// A process is the program at work, the first one of a process namespace: with its
// end all end that it has started.
type process struct {
	cmd   *exec.Cmd
	pidfd int
	ended chan struct{} // closed once err is set
	err   error
}

// start starts the program in a room of its own in the guest.
func start(g *ns.Handle, host string, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, pidfd: -1, ended: make(chan struct{})}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID,
		Setsid:     true, // Ctrl-C is for us
		Pdeathsig:  syscall.SIGKILL,
		PidFD:      &p.pidfd,
	}
	cmd.WaitDelay = time.Second // after its end nobody is left to write
	started := make(chan error)
	go onThrowAwayThread(func() {
		err := enterRoom(g, host)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait() // on this thread: Pdeathsig is sent when it ends
			close(p.ended)
		}
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// onThrowAwayThread calls f on a thread that ends with it. The process's first
// thread cannot end: it is not taken.
func onThrowAwayThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f() // and the goroutine ends locked
		return
	}
	away := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(away)
		f()
	}()
	<-away
	runtime.UnlockOSThread()
}

// patience is how long a program may take to end.
const patience = 2 * time.Second

// stop ends the program, and waits for its end.
func (p *process) stop() {
	_ = stopProcess(context.Background(), p.cmd.Process.Pid, p.pidfd)
	<-p.ended
	_ = unix.Close(p.pidfd)
}

// scripting says whether the program runs a script: a process that it has started,
// and that is not its own second self, such as those to which dhcpcd leaves its
// privileges.
func (r *Running) scripting() bool {
	for _, pid := range procs.All() {
		if name, parent := nameAndParent(fmt.Sprintf("/proc/%d/stat", pid)); parent == r.cmd.Process.Pid && name != r.client.Name {
			return true
		}
	}
	return false
}

// nameAndParent reads a line of proc_pid_stat(5). The name is in parentheses, and
// may have some in it.
func nameAndParent(stat string) (name string, parent int) {
	line, err := os.ReadFile(stat)
	start, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if err != nil || end < start || start < 0 {
		return "", 0
	}
	var state string
	_, _ = fmt.Sscan(string(line[end+1:]), &state, &parent)
	return string(line[start+1 : end]), parent
}

// A tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps what it is given, and never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(b), nil
}

// String is what was written last, without empty lines at the end.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
