//go:build linux

package guest

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// runProgram runs the job's program to its end. As the first process, it also lays to
// rest whatever else ends meanwhile.
func runProgram(share *os.Root, job Job) (Status, error) {
	files, err := openStreams(share, job.Merged)
	if err != nil {
		return Status{}, err
	}
	fds := make([]uintptr, len(files))
	for i, file := range files {
		defer file.Close()
		fds[i] = file.Fd()
	}
	pid, err := syscall.ForkExec(job.Args[0], job.Args, &syscall.ProcAttr{
		Dir:   job.Dir,
		Env:   job.Env,
		Files: fds,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return Status{}, fmt.Errorf("start %s in %s: %w", job.Args[0], job.Dir, err)
	}
	return wait(pid)
}

// openStreams opens the program's standard input, output and error.
func openStreams(share *os.Root, merged bool) ([]*os.File, error) {
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	stdout, err := share.OpenFile(StdoutFile, flags, 0o644)
	if err != nil {
		return nil, err
	}
	if merged {
		return []*os.File{stdin, stdout, stdout}, nil
	}
	stderr, err := share.OpenFile(StderrFile, flags, 0o644)
	if err != nil {
		return nil, err
	}
	return []*os.File{stdin, stdout, stderr}, nil
}

func wait(pid int) (Status, error) {
	for {
		var ws unix.WaitStatus
		ended, err := unix.Wait4(-1, &ws, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Status{}, fmt.Errorf("wait for the program: %w", err)
		}
		if ended != pid {
			continue
		}
		if ws.Signaled() {
			return Status{Signal: ws.Signal()}, nil
		}
		return Status{Exit: ws.ExitStatus()}, nil
	}
}
