package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-pipework/pipework/ns"
)

// Tool is a verb that runs a program of iproute2, which words begin, in the network
// namespace of the guest that its first word names, with this program's files. What
// follows that word is the program's. [Exit] gives its exit status for the error.
func Tool(verb string, find func(guest string) ns.Target, words ...string) *cobra.Command {
	c := Verb(verb, 1, -1, func(ctx context.Context, args []string) error {
		return tool(ctx, find(args[0]), slices.Concat(words, args[1:]))
	})
	c.Flags().SetInterspersed(false)
	completeGuests(c, 1)
	return c
}

func tool(ctx context.Context, guest ns.Target, words []string) error {
	g, err := guest.Open(ctx)
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
