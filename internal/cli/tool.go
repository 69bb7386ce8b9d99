package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/ns"
)

// Tool runs the program of iproute2 that the args name in the guest's network namespace,
// with this program's files. [Exit] gives its exit status for the error.
func Tool(ctx context.Context, args []string, find func(guest string) ns.Target) error {
	t, err := config.ParseTool(args)
	if err != nil {
		return err
	}
	words := t.Words
	g, err := find(t.Guest).Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	if here, err := g.Here(); here || err != nil {
		return cmp.Or(err, fmt.Errorf("%s uses the host's own network: type the %s command itself", g.Name, words[0]))
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
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
