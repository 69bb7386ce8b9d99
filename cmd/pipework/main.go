// Command pipework plugs running containers into networks. It understands the
// command lines of the classic shell tool of that name, and a few verbs beside
// them; see pipework --help.
package main

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
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
	warn    io.Writer
	verbose bool
	state   string // --state-dir

	line      config.Line   // its options
	waiting   cli.Waiting   // --wait
	spec      string        // --spec
	waitGuest time.Duration // --wait-guest
	detaching keep.DetachOptions
	version   bool // --version
	all       bool // --all
	dryRun    bool // --dry-run

	declarations config.Declarations
	engines      []string
	metrics      string
	policy       string // --policy
	explaining   bool   // check --policy
}

func run(ctx context.Context, args []string, out, warn io.Writer) error {
	c := &command{
		Plugger: keep.Plugger{Target: find.Target, OVS: ovs.FromEnvironment(), Output: cli.PrintableTo(warn)},
		Printer: cli.Printer{Out: out}, warn: warn,
	}
	c.Log = cli.Warnings(warn)
	defer func() { _ = c.OVS.Close() }()
	root := c.verbs()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(warn)
	return root.ExecuteContext(ctx)
}

// kinds are those of the links that Specs may have here.
func kinds() []link.Kind { return append(link.Kinds(), ovs.Kind()) }

// beVerbose says what is done.
func (c *command) beVerbose() { c.verbose, c.Log = true, cli.Log(c.warn, slog.LevelDebug) }

// open opens the records. Who may not keep any is warned.
func (c *command) open() (warnings []string, err error) {
	c.Store, warnings, err = cli.OpenRecords(c.state, kinds()...)
	return warnings, err
}

// openExisting opens the records for who only reads.
func (c *command) openExisting() (err error) {
	c.Store, err = cli.OpenExistingRecords(c.state, kinds()...)
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
	return find.Resolve(ctx, ns.ParseRef(word), c.waitGuest, c.Store.Guest)
}
