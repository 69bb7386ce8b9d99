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
	"text/tabwriter"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/keep"
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
	c := &command{Plugger: keep.Plugger{Target: find.Guest, OVS: ovs.FromEnvironment(), Output: warn}, flags: flags, out: out, warn: warn}
	defer func() { _ = c.OVS.Close() }()
	if flags.Verbose {
		c.Log = slog.New(slog.NewTextHandler(warn, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	switch {
	case flags.Help:
		return c.print("%s", config.Usage)
	case flags.Version:
		return c.print("pipework %s\n", version())
	case config.IsTool(args):
		return tool(ctx, args)
	case config.IsWait(args):
		return wait(ctx, args)
	case len(args) > 0 && args[0] == "detach":
		return c.detach(ctx, args[1:])
	case len(args) > 0 && args[0] == "list":
		return c.list(ctx, args[1:])
	case len(args) > 0 && args[0] == "check":
		return c.check(ctx, args[1:])
	case len(args) > 0 && args[0] == "watch":
		return c.watch(ctx, args[1:])
	case len(args) > 0 && args[0] == "gc":
		return c.collect(ctx, args[1:])
	}
	return c.attach(ctx, args)
}

func (c *command) attach(ctx context.Context, args []string) error {
	line, err := config.Parse(args)
	if err != nil {
		return err
	}
	s, err := c.Spec(ctx, line, c.flags)
	if err != nil {
		return err
	}
	unrecorded, err := c.tryStore()
	if err != nil {
		return err
	}
	if line.Guest, err = c.guest(ctx, line.Guest); err != nil {
		return &pipework.Error{Op: "attach", Stage: "guest", Interface: s.Name, Err: err}
	}
	at, keep, err := c.Attach(ctx, s, line, c.flags)
	if err != nil {
		return err
	}
	if l := line.HostName; l != "" && l != at.HostName {
		at.Warnings = append(at.Warnings, fmt.Sprintf("the host's end is called %s already: -l %s renames nothing", at.HostName, l))
	}
	for _, w := range append(at.Warnings, unrecorded...) {
		fmt.Fprintln(c.warn, "pipework: warning:", w)
	}
	if c.flags.JSON {
		err = c.json(at)
	} else {
		err = c.print("%s%s\n", at, howToKeep(at, keep != nil))
	}
	if err != nil || keep == nil {
		return err
	}
	return keep(ctx)
}

// howToKeep completes what an attachment says of its lease.
func howToKeep(at *pipework.Attachment, kept bool) string {
	if at.Lease == nil || kept || at.Existed {
		return ""
	}
	return ": dhcp:-f does"
}

func (c *command) detach(ctx context.Context, args []string) error {
	guest, name, err := config.ParseDetach(args)
	if err != nil {
		return err
	}
	if _, err := c.tryStore(); err != nil {
		return err
	}
	if guest, err = c.guest(ctx, guest); err != nil {
		return &pipework.Error{Op: "detach", Stage: "guest", Interface: cmp.Or(name, pipework.DefaultName), Err: err}
	}
	r, err := c.Detach(ctx, guest, name, c.flags)
	switch {
	case err != nil:
		return err
	case r == nil:
		return c.print("%s has no %s: nothing to detach\n", guest, cmp.Or(name, pipework.DefaultName))
	case r.Attachment == nil:
		return c.print("%s: %s was not plugged in any more, and is forgotten\n", guest, r.Interface)
	case c.flags.JSON:
		return c.json(r.Attachment)
	}
	at := r.Attachment
	return c.print("%s: %s detached from %s%s\n", at.Guest.Name, at.Name, at.Link, each(", back: ", at.Displaced))
}

func (c *command) list(ctx context.Context, guests []string) error {
	targets := make([]pipework.Target, 0, len(guests))
	for _, g := range guests {
		targets = append(targets, find.Guest(g))
	}
	all, err := c.List(ctx, targets...)
	if err != nil && len(all) == 0 {
		return err
	}
	if c.flags.JSON {
		return errors.Join(err, c.json(all))
	}
	if len(all) == 0 {
		return c.print("nothing is plugged in\n")
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GUEST\tINTERFACE\tLINK\tHOST END\tMAC\tADDRESSES\tDRIFT")
	for _, a := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Guest.Name, a.Name, a.Link, a.HostName, a.MAC, each("", a.Addrs), each("", a.Drifts))
	}
	return errors.Join(err, table.Flush())
}

func (c *command) check(ctx context.Context, args []string) error {
	guests, err := config.ParseCheck(args)
	if err != nil {
		return err
	}
	if err := c.openStore(); err != nil {
		return err
	}
	for i, g := range guests {
		if guests[i], err = c.guest(ctx, g); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	found, err := c.Findings(ctx, guests...)
	err = errors.Join(err, keep.Verdict(found))
	switch {
	case found == nil:
		return err
	case c.flags.JSON:
		return errors.Join(err, c.json(found))
	case len(found) == 0:
		return errors.Join(err, c.print("nothing is declared\n"))
	}
	for _, f := range found {
		err = errors.Join(err, c.print("%s\n", &f))
	}
	return err
}

func (c *command) collect(ctx context.Context, args []string) error {
	dryRun, err := config.ParseCollect(args)
	if err != nil {
		return err
	}
	if _, err := c.tryStore(); err != nil {
		return err
	}
	collect := c.Collect
	if dryRun {
		collect = c.Orphans
	}
	lines, err := collect(ctx)
	if c.flags.JSON {
		return errors.Join(err, c.json(append([]string{}, lines...)))
	}
	for _, line := range lines {
		err = errors.Join(err, c.print("%s\n", line))
	}
	return err
}

// each joins a list behind its introduction; an empty list is nothing.
func each[T any](intro string, list []T) string {
	if len(list) == 0 {
		return ""
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	return intro + strings.Join(texts, ", ")
}

func (c *command) print(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

func (c *command) json(v any) error {
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
