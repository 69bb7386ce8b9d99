// Command pipework plugs running containers into networks. It understands the
// command lines of the classic shell tool of that name, and a few verbs beside
// them; see pipework --help.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

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
	var said status
	switch {
	case err == nil:
	case errors.As(err, &said):
		os.Exit(int(said))
	case errors.Is(err, config.ErrUsage):
		fmt.Fprintf(os.Stderr, "pipework: %v (see pipework --help)\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "pipework: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

// A command is one call of the program.
type command struct {
	keep.Plugger
	flags config.Flags
	out   io.Writer
	warn  io.Writer
}

func run(ctx context.Context, args []string, out, warn io.Writer) error {
	flags, args, err := config.Split(args)
	if err != nil {
		return err
	}
	c := &command{Plugger: keep.Plugger{Target: find.Target, OVS: ovs.FromEnvironment(), Output: warn}, flags: flags, out: out, warn: warn}
	defer func() { _ = c.OVS.Close() }()
	if flags.Verbose {
		c.Log = slog.New(slog.NewTextHandler(warn, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	verbs := map[string]func(context.Context, []string) error{
		"detach": c.detach, "list": c.list, "check": c.check, "watch": c.watch, "gc": c.collect,
	}
	switch {
	case flags.Help:
		_, err = fmt.Fprint(out, cli.Usage)
	case flags.Version:
		_, err = fmt.Fprintf(out, "pipework %s\n", version())
	case config.IsTool(args):
		err = tool(ctx, args)
	case config.IsWait(args):
		err = wait(ctx, args)
	case flags.Spec != "":
		err = c.attachSpec(ctx, args)
	case len(args) > 0 && verbs[args[0]] != nil:
		err = verbs[args[0]](ctx, args[1:])
	default:
		err = c.attachLine(ctx, args)
	}
	return err
}

// attachLine attaches as a classic command line says.
func (c *command) attachLine(ctx context.Context, args []string) error {
	line, err := config.Parse(args)
	if err != nil {
		return err
	}
	d, err := c.Declared(ctx, line, c.flags)
	if err != nil {
		return err
	}
	client, _, _ := strings.Cut(line.DHCP, ":")
	return c.attach(ctx, line.Guest, d, ": "+client+":-f does")
}

// attachSpec attaches as a file says.
func (c *command) attachSpec(ctx context.Context, args []string) error {
	guest, err := config.ParseSpecGuest(c.flags, args)
	if err != nil {
		return err
	}
	text, err := readSpec(c.flags.Spec)
	if err != nil {
		return err
	}
	s, err := config.ParseSpec(text, kinds()...)
	if err != nil {
		return fmt.Errorf("%s: %w", c.flags.Spec, err)
	}
	return c.attach(ctx, guest, keep.Declared{Spec: s}, ": pipework watch does")
}

// attach attaches; keeper says who keeps a lease that nobody does yet.
func (c *command) attach(ctx context.Context, guest string, d keep.Declared, keeper string) error {
	unrecorded, err := c.open()
	if err != nil {
		return err
	}
	ref, err := c.resolve(ctx, guest)
	if err != nil {
		return &pipework.Error{Op: "attach", Stage: pipework.StageGuest, Interface: cmp.Or(d.Spec.Name, pipework.DefaultName), Err: err}
	}
	at, keep, err := c.Attach(ctx, ref, d)
	if err != nil {
		return err
	}
	for _, w := range append(at.Warnings, unrecorded...) {
		fmt.Fprintln(c.warn, "pipework: warning:", w)
	}
	if keep != nil || at.Existed || at.Lease == nil && at.Lease6 == nil {
		keeper = ""
	}
	if err := c.show(at, "%s%s\n", cli.Attachment(at), keeper); err != nil || keep == nil {
		return err
	}
	return keep(ctx)
}

func (c *command) detach(ctx context.Context, args []string) error {
	word, name, err := config.ParseDetach(args)
	if err != nil {
		return err
	}
	if _, err := c.open(); err != nil {
		return err
	}
	guest, err := c.resolve(ctx, word)
	if err != nil {
		return &pipework.Error{Op: "detach", Stage: pipework.StageGuest, Interface: cmp.Or(name, pipework.DefaultName), Err: err}
	}
	r, err := c.Detach(ctx, guest, name, keep.DetachOptions{Force: c.flags.Force, ResolvConf: c.flags.ResolvConf})
	switch {
	case err != nil:
		return err
	case r == nil:
		return c.show(nil, "%s has no %s: nothing to detach\n", guest, cmp.Or(name, pipework.DefaultName))
	}
	return c.show(r.Attachment, "%s\n", cli.Detached(r))
}

func (c *command) list(ctx context.Context, guests []string) error {
	targets := make([]pipework.Target, 0, len(guests))
	for _, g := range guests {
		targets = append(targets, find.Guest(g))
	}
	all, err := c.List(ctx, targets...)
	switch {
	case err != nil && len(all) == 0:
		return err
	case c.flags.JSON || len(all) == 0:
		return errors.Join(err, c.show(append([]*pipework.Attachment{}, all...), "nothing is plugged in\n"))
	}
	return errors.Join(err, cli.WriteTable(c.out, all))
}

func (c *command) check(ctx context.Context, args []string) error {
	words, err := config.ParseCheck(args)
	if err != nil {
		return err
	}
	if err := c.openExisting(); err != nil {
		return err
	}
	guests := make([]ns.Ref, len(words))
	for i, word := range words {
		if guests[i], err = c.resolve(ctx, word); err != nil {
			return err
		}
	}
	found, err := c.Status(ctx, guests...)
	if found == nil {
		return err
	}
	return errors.Join(err, cli.Verdict(found), c.show(found, "%s", cli.Report(found)))
}

func (c *command) collect(ctx context.Context, args []string) error {
	dryRun, err := config.ParseCollect(args)
	if err != nil {
		return err
	}
	collect := c.Collect
	if dryRun {
		collect, err = c.Orphans, c.openExisting()
	} else {
		_, err = c.open()
	}
	if err != nil {
		return err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(c.warn, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	lines, err := collect(ctx)
	text := strings.Join(append(lines, ""), "\n")
	return errors.Join(err, c.show(append([]string{}, lines...), "%s", text))
}

// kinds are those of the links that Specs may have here.
func kinds() []link.Kind { return append(link.Kinds(), ovs.Kind()) }

// open opens the records. Who may not keep any is warned.
func (c *command) open() (warnings []string, err error) {
	c.Store, warnings, err = openRecords(c.flags.State)
	return warnings, err
}

// openExisting opens the records for who only reads: where there is no directory,
// there are none, and none is made.
func (c *command) openExisting() (err error) {
	c.Store, err = keep.OpenExisting(recordsDir(c.flags.State), kinds()...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// resolve is the guest that the word means, with its kind: records are kept by it.
func (c *command) resolve(ctx context.Context, word string) (ns.Ref, error) {
	return find.Resolve(ctx, ns.ParseRef(word), c.flags.WaitGuest, c.Store.Guest)
}

// show prints v as JSON where that was asked for, and else the text.
func (c *command) show(v any, format string, args ...any) error {
	if !c.flags.JSON {
		_, err := fmt.Fprintf(c.out, format, args...)
		return err
	}
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
