package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns/find"
)

// tool runs a program of iproute2 in the guest's network namespace, with this
// program's files and exit status.
func tool(ctx context.Context, args []string) error {
	t, err := config.ParseTool(args)
	if err != nil {
		return err
	}
	g, err := find.Guest(t.Guest).Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	if here, err := g.Here(); here || err != nil {
		return cmp.Or(err, fmt.Errorf("%s uses the host's own network: type the %s command itself", g.Name, t.Words[0]))
	}
	cmd := exec.CommandContext(ctx, t.Words[0], t.Words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Second
	err = g.Exec(ctx, cmd)
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: it comes with iproute2", err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return statusOf(exit)
	}
	return err
}

// A status is the exit status of a program that has said why itself.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusOf is what a shell would tell.
func statusOf(exit *exec.ExitError) status {
	if ended, ok := exit.Sys().(syscall.WaitStatus); ok && ended.Signaled() {
		return status(128 + int(ended.Signal()))
	}
	return status(exit.ExitCode())
}

// wait is typed inside a container.
func wait(ctx context.Context, args []string) error {
	w, err := config.ParseWait(args)
	if err != nil {
		return err
	}
	if w.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.Timeout)
		defer cancel()
	}
	state := link.Running
	if w.Address {
		state = link.Addressed
	}
	return link.Await(ctx, nil, cmp.Or(w.Name, pipework.DefaultName), state)
}
