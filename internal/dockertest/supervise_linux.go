package dockertest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	engine, err := startEngine(dir)
	if err != nil {
		return err
	}
	end := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		end <- err
	}()
	err = watch(engine, wake, end)
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

// watch reaps orphans until the end comes or the engine ends, which is an error.
func watch(engine int, wake <-chan os.Signal, end <-chan error) error {
	for {
		select {
		case err := <-end:
			return err
		case <-wake:
			if slices.Contains(reap(), engine) {
				return fmt.Errorf("dockerd has ended")
			}
		}
	}
}

// clean ends every process that the engine started, and removes what would stay.
// The namespaces and their mounts go with the last process.
func clean(dir string, why error) error {
	parent := cgroupParent(dir)
	deadline := time.Now().Add(patience / 2)
	for left := true; left; time.Sleep(2 * time.Millisecond) {
		thaw(parent)
		left = killChildren()
		reap()
		if left && time.Now().After(deadline) {
			return fmt.Errorf("processes of the engine do not end: %v", children())
		}
	}
	if err := removeCgroups(parent, deadline); err != nil {
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
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		if pid, parent := parentOf(path); parent == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf reads a process's number and its parent's; see proc_pid_stat(5). The
// name between them may hold anything, so the last parenthesis counts.
func parentOf(stat string) (pid, parent int) {
	line, err := os.ReadFile(stat)
	if err != nil {
		return 0, 0
	}
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return 0, 0
	}
	var state string
	_, _ = fmt.Sscan(string(line), &pid)
	_, _ = fmt.Sscan(string(line[end+1:]), &state, &parent)
	return pid, parent
}
