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
	"github.com/go-pipework/pipework/link"
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
		fmt.Fprintf(os.Stderr, "pipework: %v\n", err)
		os.Exit(1)
	}
}

// A command is one call of the program.
type command struct {
	pipework.Attacher
	flags config.Flags
	out   io.Writer
	warn  io.Writer
}

func run(ctx context.Context, args []string, out, warn io.Writer) error {
	flags, args, err := config.Split(args)
	if err != nil {
		return err
	}
	c := &command{flags: flags, out: out, warn: warn}
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
	case len(args) == 1 && args[0] == "gc":
		return c.collect(ctx)
	}
	return c.attach(ctx, args)
}

func (c *command) attach(ctx context.Context, args []string) error {
	line, err := config.Parse(args)
	if err != nil {
		return err
	}
	var backend link.Backend = link.Phys{Device: line.Interface} // which may be in the guest already
	if !line.DirectPhys || strings.HasPrefix(line.Interface, "mac:") {
		if backend, err = c.Detect(ctx, line.Interface, openVSwitch().Lookup); err != nil {
			return err
		}
	}
	s, err := line.Spec(backend, c.flags)
	if err != nil {
		return err
	}
	at, keep, err := c.plug(ctx, line, s)
	if err != nil {
		return err
	}
	for _, w := range at.Warnings {
		fmt.Fprintln(c.warn, "pipework: warning:", w)
	}
	if c.flags.JSON {
		err = c.json(at)
	} else {
		err = c.print("%s%s\n", at, howToKeep(at, keep))
	}
	if err != nil || keep == nil {
		return err
	}
	return keep(ctx)
}

func (c *command) detach(ctx context.Context, args []string) error {
	guest, name, err := config.ParseDetach(args)
	if err != nil {
		return err
	}
	at, err := c.plugged(ctx, guest, name)
	if err != nil {
		return err
	}
	if at == nil {
		return c.print("%s has no %s: nothing to detach\n", guest, cmp.Or(name, pipework.DefaultName))
	}
	if err := c.unplug(ctx, target(guest), pipework.Spec{Name: at.Name, Link: ovsBridge(at.Link)}); err != nil {
		return err
	}
	if c.flags.JSON {
		return c.json(at)
	}
	return c.print("%s: %s detached from %s%s\n", at.Guest.Name, at.Name, at.Link, each(", back: ", at.Displaced))
}

// plugged finds what is plugged into the guest under this name; "" stands for
// eth1, or for the only interface that there is.
func (c *command) plugged(ctx context.Context, guest, name string) (*pipework.Attachment, error) {
	all, err := c.List(ctx, target(guest))
	if err != nil {
		return nil, err
	}
	for _, at := range all {
		if at.Name == cmp.Or(name, pipework.DefaultName) {
			return at, nil
		}
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	_, err = c.Check(ctx, target(guest), pipework.Spec{Name: name}) // may be there, and not ours
	var e *pipework.Error
	if errors.As(err, &e) && e.Stage == "interface" && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return nil, err
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

func (c *command) collect(ctx context.Context) error {
	names, err := c.Collect(ctx)
	ports, failed := collectPorts(ctx)
	names, err = append(append([]string{}, names...), ports...), errors.Join(err, failed)
	if c.flags.JSON {
		return errors.Join(err, c.json(names))
	}
	for _, name := range names {
		err = errors.Join(err, c.print("%s\n", name))
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
