// Command pipework plugs running containers into networks. It understands the
// command lines of the classic shell tool of that name, and a few verbs beside
// them; see pipework --help.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/ovs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if status := cli.Exit(os.Stderr, err); status != 0 {
		os.Exit(status)
	}
}

// A command is one call of the program.
type command struct {
	keep.Plugger
	cli.Printer
	flags config.Flags
	warn  io.Writer
}

func run(ctx context.Context, args []string, out, warn io.Writer) error {
	flags, args, err := config.Split(args)
	if err != nil {
		return err
	}
	c := &command{
		Plugger: keep.Plugger{Target: find.Target, OVS: ovs.FromEnvironment(), Output: cli.PrintableTo(warn)},
		Printer: cli.Printer{Out: out, JSON: flags.JSON}, flags: flags, warn: warn,
	}
	c.Probe = flags.Probe
	defer func() { _ = c.OVS.Close() }()
	if c.Log = cli.Warnings(warn); flags.Verbose {
		c.Log = cli.Log(warn, slog.LevelDebug)
	}
	verbs := map[string]func(context.Context, []string) error{
		"detach": c.detach, "list": c.list, "check": c.check, "watch": c.watch, "gc": c.collect,
	}
	switch {
	case flags.Help:
		_, err = fmt.Fprint(out, cli.Usage)
	case flags.Version:
		_, err = fmt.Fprintf(out, "pipework %s\n", cli.Version())
	case config.IsTool(args):
		err = cli.Tool(ctx, args, find.Guest)
	case config.IsWait(args):
		err = cli.Wait(ctx, args)
	case flags.Spec != "":
		err = c.attachSpec(ctx, args)
	case len(args) > 0 && verbs[args[0]] != nil:
		err = verbs[args[0]](ctx, args[1:])
	default:
		err = c.attachLine(ctx, args)
	}
	return err
}

// kinds are those of the links that Specs may have here.
func kinds() []link.Kind { return append(link.Kinds(), ovs.Kind()) }

// open opens the records. Who may not keep any is warned.
func (c *command) open() (warnings []string, err error) {
	c.Store, warnings, err = cli.OpenRecords(c.flags.State, kinds()...)
	return warnings, err
}

// openToTake is open for who takes away, which does not depend on records: where the
// directory cannot be made, there are none.
func (c *command) openToTake() error {
	_, err := c.open()
	if errs.IsUnwritable(err) {
		return nil
	}
	return err
}

// openExisting opens the records for who only reads.
func (c *command) openExisting() (err error) {
	c.Store, err = cli.OpenExistingRecords(c.flags.State, kinds()...)
	return err
}

// resolveFor is resolve for an attach or a detach of this interface.
func (c *command) resolveFor(ctx context.Context, op, word, iface string) (ns.Ref, error) {
	ref, err := c.resolve(ctx, word)
	if err != nil {
		err = &pipework.Error{Op: op, Stage: pipework.StageGuest, Interface: cmp.Or(iface, pipework.DefaultName), Err: err}
	}
	return ref, err
}

// resolve is the guest that the word means, with its kind: records are kept by it.
func (c *command) resolve(ctx context.Context, word string) (ns.Ref, error) {
	return find.Resolve(ctx, ns.ParseRef(word), c.flags.WaitGuest, c.Store.Guest)
}
