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
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/keep"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
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
	c := &command{Plugger: keep.Plugger{Target: target}, flags: flags, out: out, warn: warn}
	if flags.Verbose {
		c.Log = slog.New(slog.NewTextHandler(warn, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	switch {
	case flags.Help:
		return c.print("%s", config.Usage)
	case flags.Version:
		return c.print("pipework %s\n", version())
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
	line.Guest = fullWord(line.Guest)
	s, err := c.Spec(ctx, line, c.flags)
	if err != nil {
		return err
	}
	unrecorded, err := c.tryStore()
	if err != nil {
		return err
	}
	at, err := c.Attach(ctx, s, line, c.flags)
	if err != nil {
		return err
	}
	for _, w := range append(at.Warnings, unrecorded...) {
		fmt.Fprintln(c.warn, "pipework: warning:", w)
	}
	if c.flags.JSON {
		err = c.json(at)
	} else {
		err = c.print("%s\n", at)
	}
	if asked, _ := line.DHCPConfig(); err != nil || !asked.Foreground {
		return err
	}
	kept := c.Kept(target(line.Guest), s, at)
	kept.Event = func(e dhcp.Event) { fmt.Fprintf(c.warn, "pipework: %v %s %s\n", e.Kind, e.Interface, e.Reason) }
	return kept.Keep(ctx)
}

func (c *command) detach(ctx context.Context, args []string) error {
	guest, name, err := config.ParseDetach(args)
	if err != nil {
		return err
	}
	if _, err := c.tryStore(); err != nil {
		return err
	}
	r, err := c.Detach(ctx, fullWord(guest), name)
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
		targets = append(targets, target(g))
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
	for i, g := range guests {
		guests[i] = fullWord(g)
	}
	if err := c.openStore(); err != nil {
		return err
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
