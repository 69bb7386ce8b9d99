//go:build linux

package lanes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/go-pipework/pipework/internal/lanes/guest"
	"golang.org/x/sys/unix"
)

const (
	pollInterval = 50 * time.Millisecond
	powerOffWait = 5 * time.Second // for a guest whose program has ended
)

// Run boots a guest, runs cmd in it and returns the program's exit status, 128 and the
// signal when a signal ended it. An error means that there is no such status: packages
// are missing (ErrMissing), the program did not end in time
// (context.DeadlineExceeded), ctx was cancelled, or the guest failed (*GuestError in
// all but the first case). Whatever happens, no process of the guest and no temporary
// file outlives the call, not even when it ends with SIGKILL.
//
// Run is for lanerun: the program it is called in becomes the guest's first process.
// It needs no privilege. Several guests may run at once.
func (l Lane) Run(ctx context.Context, cmd Command) (int, error) {
	if err := cmd.complete(); err != nil {
		return 0, fmt.Errorf("lane %s: %w", l.name, err)
	}
	if err := l.refuses(cmd.Args[0]); err != nil {
		return 0, fmt.Errorf("lane %s: %w", l.name, err)
	}
	m, err := l.machine(ctx)
	if err != nil {
		return 0, err
	}
	b, err := newBox()
	if err != nil {
		return 0, fmt.Errorf("lane %s: %w", l.name, err)
	}
	defer b.remove()
	status, err := m.run(ctx, b, cmd, m.job(cmd, l.name))
	if err != nil {
		return 0, fmt.Errorf("lane %s: %w", l.name, err)
	}
	return status.Code(), nil
}

// run runs cmd, of which job tells the guest.
func (m machine) run(ctx context.Context, b box, cmd Command, job guest.Job) (guest.Status, error) {
	if err := guest.WriteJob(b.share(), job); err != nil {
		return guest.Status{}, err
	}
	if err := writeInitramfs(b.initramfs(), m.modules, m.early); err != nil {
		return guest.Status{}, fmt.Errorf("write initramfs: %w", err)
	}
	out, err := newOutput(b, cmd.Stdout, cmd.Stderr)
	if err != nil {
		return guest.Status{}, err
	}
	defer out.close()

	late := fmt.Errorf("no result after %v: %w", cmd.Timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, cmd.Timeout, late)
	defer cancel()
	if err := b.boot(m.command(ctx, b, cmd.Memory), out); err != nil {
		return guest.Status{}, err
	}
	status, err := guest.ReadStatus(os.DirFS(b.share()))
	if err != nil {
		return guest.Status{}, b.failure(context.Cause(ctx))
	}
	return status, b.collect(job.Results)
}

// boot runs the guest to its end, or that of cmd's context, and passes its output on
// meanwhile.
func (b box) boot(cmd *exec.Cmd, out *output) error {
	console, err := os.Create(b.console())
	if err != nil {
		return err
	}
	defer console.Close()
	kill := func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.Dir = b.dir
	cmd.Stdout = console
	cmd.Stderr = console
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = kill
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start guest: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what the guest has to say is in its files
		_ = kill()     // its helpers
	}()
	dismiss, err := b.postGuard(cmd.Process.Pid)
	if err != nil {
		_ = kill()
		<-ended
		return err
	}
	defer dismiss()
	return b.follow(ended, out, kill)
}

// follow passes output on until the guest has ended. A guest that does not turn itself
// off after its program, or whose output nobody takes, is killed.
func (b box) follow(ended <-chan struct{}, out *output, kill func() error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var overdue <-chan time.Time
	for {
		select {
		case <-ended:
			return out.pass()
		case <-overdue:
			_ = kill()
		case <-tick.C:
			if err := out.pass(); err != nil {
				_ = kill()
				<-ended
				return err
			}
			if overdue == nil && b.done() {
				overdue = time.After(powerOffWait)
			}
		}
	}
}
