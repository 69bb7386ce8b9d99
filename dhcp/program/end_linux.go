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
			if err := endBy(ctx, path, suspect{program, ifname, g}); err != nil {
				return fmt.Errorf("end %s by %s: %w", program, path, err)
			}
		}
	}
	return nil
}

// A suspect is what a process must be to be ended.
type suspect struct {
	program, ifname string
	guest           *ns.Guest
}

// endBy ends the process whose number is in a file, when it is the suspect.
func endBy(ctx context.Context, path string, s suspect) error {
	pid, err := readPid(path)
	if err != nil {
		return nil // none of ours
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer func() { _ = unix.Close(fd) }()
	// What is found under the number is the process of the pidfd as long as that lives.
	if !s.is(pid) || hasEnded(fd) {
		return nil
	}
	_ = os.Remove(path) // which tells those who wait for it that its end is wanted
	return stopProcess(ctx, pid, fd)
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
