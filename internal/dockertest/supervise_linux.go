package dockertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/process"
)

// dirEnv tells a test binary that it is a supervisor, and of which directory.
const dirEnv = "PIPEWORK_DOCKERTEST"

// Supervise returns at once, unless this process was started by [Start] to
// supervise an engine: then it does that and ends the process. TestMain calls
// it before anything else.
func Supervise() {
	dir := os.Getenv(dirEnv)
	if dir == "" {
		return
	}
	if err := supervise(dir); err != nil {
		fmt.Fprintln(os.Stderr, "dockertest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// supervise runs dockerd until standard input ends, that is until the test has
// ended in whatever way, and then leaves nothing of it behind.
func supervise(dir string) error {
	runtime.LockOSThread() // the engine dies with the thread that started it
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	if err := furnish(); err != nil {
		return err
	}
	wake := make(chan os.Signal, 1)
	signal.Notify(wake, unix.SIGCHLD)
	power := make(chan os.Signal, 1)
	signal.Notify(power, powerOff, powerOn, killed)
	engine, err := startEngine(dir)
	if err != nil {
		return err
	}
	end := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		end <- err
	}()
	for err == nil {
		switch how := watch(engine, wake, power, end); {
		case errors.Is(how, errOff):
			engine, err = 0, errors.Join(endAll(dir, time.Now().Add(patience/2)), emptyRun())
		case errors.Is(how, errOn):
			engine, err = startEngine(dir)
		case errors.Is(how, errKilled):
			err = unix.Kill(engine, unix.SIGKILL)
			engine = 0
		default:
			return clean(dir, how)
		}
	}
	return clean(dir, err)
}

// startEngine starts dockerd with its defaults, but for what the machine's own
// engine would notice. PATH is what a service's would be: dockerd calls
// iptables.
func startEngine(dir string) (int, error) {
	path, err := program("dockerd")
	if err != nil {
		return 0, err
	}
	argv := append([]string{
		path, "--host=unix://" + filepath.Join(dir, "docker.sock"),
		"--data-root=/run/docker-data", "--exec-root=/run/docker", "--pidfile=/run/docker.pid",
		"--exec-opt=native.cgroupdriver=cgroupfs", "--cgroup-parent=" + cgroupParent(dir),
	}, engineArgs()...)
	env := append(os.Environ(), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	p, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{nil, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return 0, err
	}
	pid := p.Pid
	return pid, p.Release() // reaped with all the others
}

// engineArgs is what follows "--" on the supervisor's command line.
func engineArgs() []string {
	if i := slices.Index(os.Args, "--"); i >= 0 {
		return os.Args[i+1:]
	}
	return nil
}

// What a test asks for, by signals: see Crash, Boot and Kill.
const (
	powerOff = unix.SIGHUP
	powerOn  = unix.SIGUSR1
	killed   = unix.SIGUSR2
)

var (
	errOff    = errors.New("power off")
	errOn     = errors.New("power on")
	errKilled = errors.New("killed")
)

// watch reaps orphans until the end comes, which may be nil, or a test asks for
// something, or the engine ends, which is an error.
func watch(engine int, wake, power <-chan os.Signal, end <-chan error) error {
	for {
		select {
		case err := <-end:
			return err
		case s := <-power:
			switch s {
			case powerOff:
				return errOff
			case killed:
				return errKilled
			}
			return errOn
		case <-wake:
			if slices.Contains(reap(), engine) {
				return fmt.Errorf("dockerd has ended")
			}
		}
	}
}

// endAll ends every process that the engine started.
func endAll(dir string, deadline time.Time) error {
	for left := true; left; time.Sleep(2 * time.Millisecond) {
		thaw(cgroupParent(dir))
		left = killChildren()
		reap()
		if left && time.Now().After(deadline) {
			return fmt.Errorf("processes of the engine do not end: %v", children())
		}
	}
	return removeCgroups(cgroupParent(dir), deadline)
}

// emptyRun removes what a machine that starts does not find of the last time.
func emptyRun() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if point := strings.Fields(line)[4]; strings.HasPrefix(point, "/run/docker") {
			switch e := unix.Unmount(point, unix.MNT_DETACH); e {
			case unix.EINVAL: // gone with one that it is in
			case unix.ENOENT: // another engine's, of the machine, below our /run
			default:
				err = errors.Join(err, e)
			}
		}
	}
	return errors.Join(err, os.RemoveAll("/run/docker"), os.Remove("/run/docker.pid"))
}

// clean ends every process that the engine started, and removes what would stay.
// The namespaces and their mounts go with the last process.
func clean(dir string, why error) error {
	if err := endAll(dir, time.Now().Add(patience/2)); err != nil {
		return err
	}
	if why != nil {
		return why // the directory stays until its log is read
	}
	return os.RemoveAll(dir)
}

// reap collects the children that have ended.
func reap() (ended []int) {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if pid <= 0 {
			return ended
		}
		ended = append(ended, pid)
	}
}

// killChildren kills this process's children and tells whether it had any; their
// own children become ours. No number can be reused before reap.
func killChildren() bool {
	pids := children()
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	return len(pids) > 0
}

// children lists this process's children, the ended ones included.
func children() (pids []int) {
	for _, pid := range process.All() {
		if parentOf(pid) == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf reads the number of a process's parent; see proc_pid_stat(5). The
// name before it may hold anything, so the last parenthesis counts.
func parentOf(pid int) (parent int) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return 0
	}
	var state string
	_, _ = fmt.Sscan(string(line[end+1:]), &state, &parent)
	return parent
}
