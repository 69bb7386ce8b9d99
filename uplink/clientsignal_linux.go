package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/process"
)

// This file stops another DHCP client, has it go on, and ends it.

// A clientProcess is one of its processes. Another one may get its number.
type clientProcess struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // as /proc/PID/stat tells
}

// helpers adds all processes of dhcpcd in the network namespace.
func (c *dhcpClient) helpers(here string) error {
	c.All = nil
	for _, pid := range process.All() {
		comm := strings.TrimSpace(string(readSome(fmt.Sprintf("/proc/%d/comm", pid))))
		where, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || where != here || comm != dhcpcd {
			continue
		}
		if started, err := process.Started(pid); err == nil {
			c.All = append(c.All, clientProcess{pid, started})
		}
	}
	if len(c.All) == 0 {
		return errs.New(fs.ErrNotExist, "dhcpcd has just ended")
	}
	return nil
}

// signal stops the client, has it go on, or ends it, and says whether it is at work then.
func (c dhcpClient) signal(ctx context.Context, s unix.Signal) (atWork bool, err error) {
	if err := fault.Step(ctx, "signal "+s.String()); err != nil {
		return false, err
	}
	if s == unix.SIGKILL && !slices.ContainsFunc(c.All, clientProcess.stopped) { // it was never told of a bridge
		s = unix.SIGCONT
	}
	for _, p := range c.All { // once one has ended the kernel may have let the others go on
		is, err := p.signal(s)
		if err != nil {
			return atWork, fmt.Errorf("%s (process %d): %w", c.Name, p.PID, err)
		}
		atWork = atWork || is
	}
	return atWork, nil
}

// stopped says that the process is there, and stopped.
func (p clientProcess) stopped() bool {
	started, err := process.Started(p.PID)
	return err == nil && started == p.Started && process.Stopped(p.PID)
}

// signal signals the process, unless it has ended: no other one that got its number meanwhile.
func (p clientProcess) signal(s unix.Signal) (atWork bool, err error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	if started, err := process.Started(p.PID); err != nil || started != p.Started {
		return false, nil
	}
	err = unix.PidfdSendSignal(fd, s, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return err == nil && s == unix.SIGCONT, err
}

// stopClient has the client leave the lease alone.
func (j leaser) stopClient(ctx context.Context, r *record) error {
	if r.Taken == nil {
		return nil
	}
	_, err := r.Taken.Client.signal(ctx, unix.SIGSTOP)
	j.warn("%s is stopped (process %d): have it not start on %s at the next boot; %s", r.Taken.Client.Name, r.Taken.Client.All[0].PID, j.NIC, r.Taken.until())
	return err
}

// continueClient has the client go on.
func (j leaser) continueClient(ctx context.Context, r *record) error {
	if r.Taken == nil {
		return nil
	}
	signal := unix.SIGCONT
	if r.Taken.Client.Name == dhcpcd {
		signal = unix.SIGKILL
	}
	atWork, err := r.Taken.Client.signal(ctx, signal)
	if err == nil && !atWork {
		j.warn("nobody renews the lease of %s on %s any more: start %s again", r.Taken.Lease.Addr.Addr(), j.NIC, r.Taken.Client.Name)
	}
	return err
}
