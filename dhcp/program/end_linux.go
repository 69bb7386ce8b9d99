package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

func end(ctx context.Context, t pipework.Target, ifname string) error {
	return each(ctx, t, ifname, func(f found) error {
		_ = os.Remove(f.path) // which tells those who wait for it that its end is wanted
		if err := stopProcess(ctx, f.pid, f.pidfd); err != nil {
			return fmt.Errorf("end the process of %s: %w", f.path, err)
		}
		return nil
	})
}

func runs(ctx context.Context, t pipework.Target, ifname string) (is bool, err error) {
	err = each(ctx, t, ifname, func(found) error {
		is = true
		return nil
	})
	return is, err
}

// A found is a program at work.
type found struct {
	path       string // of its pid file
	pid, pidfd int
}

// each calls f for every program that is at work for the interface by its pid file.
func each(ctx context.Context, t pipework.Target, ifname string, f func(found) error) error {
	g, err := t.Open(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	for program := range arguments {
		paths, err := filepath.Glob(filepath.Join(runDir, program+".*.pid"))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := by(path, suspect{program, ifname, g}, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// A suspect is what a process must be to be taken for a program at work.
type suspect struct {
	program, ifname string
	guest           *ns.Guest
}

// by calls f for the process whose number is in a file, when it is the suspect.
func by(path string, s suspect, f func(found) error) error {
	pid, err := readPid(path)
	if err != nil {
		return nil // none of ours
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, os.NewSyscallError("pidfd_open", err))
	}
	defer func() { _ = unix.Close(fd) }()
	// What is found under the number is the process of the pidfd as long as that lives.
	if !s.is(pid) || hasEnded(fd) {
		return nil
	}
	return f(found{path, pid, fd})
}

// is says whether the process is this program, in this guest's network, and for
// this interface.
func (s suspect) is(pid int) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	var st unix.Stat_t
	if err := unix.Stat(proc+"/ns/net", &st); err != nil || (ns.Inode{Dev: st.Dev, Ino: st.Ino}) != s.guest.Inode() {
		return false
	}
	line, err := os.ReadFile(proc + "/cmdline")
	words := strings.FieldsFunc(string(line), func(r rune) bool { return r == 0 || r == ' ' })
	return err == nil && s.named(pid) && slices.Contains(words, s.ifname)
}

// named says whether the process is this program, in whatever guest.
func (s suspect) named(pid int) bool {
	comm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return err == nil && strings.TrimSpace(string(comm)) == s.program
}

func hasEnded(pidfd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return n > 0 && err == nil
}

// stopProcess asks the process to end, and ends it when it does not. Of a signal
// that it does not catch, the first process of a namespace does not hear.
func stopProcess(ctx context.Context, pid, pidfd int) error {
	signals := []unix.Signal{unix.SIGTERM, unix.SIGKILL}
	if !catches(pid, unix.SIGTERM) {
		signals = signals[1:]
	}
	for _, signal := range signals {
		if err := unix.PidfdSendSignal(pidfd, signal, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return os.NewSyscallError("pidfd_send_signal", err)
		}
		for end := time.Now().Add(patience); time.Now().Before(end); {
			if hasEnded(pidfd) {
				return nil
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return errs.New(os.ErrDeadlineExceeded, "process does not end within %v", 2*patience)
}

// catches says whether the process has a handler for the signal.
func catches(pid int, signal unix.Signal) bool {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(text)) {
		if mask, ok := strings.CutPrefix(line, "SigCgt:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && bits&(1<<(signal-1)) != 0
		}
	}
	return false
}
