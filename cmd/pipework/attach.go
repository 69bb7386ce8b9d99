package main

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns/find"
)

// attach attaches as a classic command line says, or a file; or it waits.
func (c *command) attach(ctx context.Context, args []string) error {
	if c.version {
		return cli.PrintVersion(c.Printer.Out)
	}
	if c.waiting.Asked {
		return c.waiting.Wait(ctx, args, c.line.Name)
	}
	if c.spec != "" {
		return c.attachSpec(ctx, args)
	}
	line, err := c.line.Read(args)
	if err = cmp.Or(c.waiting.Check(), err); err != nil {
		return err
	}
	d, err := c.Declared(ctx, line)
	if err != nil {
		return err
	}
	client, _, _ := strings.Cut(line.DHCP, ":")
	return c.attachDeclared(ctx, line.Guest, d, ": "+client+":-f does")
}

// attachSpec attaches as a file says.
func (c *command) attachSpec(ctx context.Context, args []string) error {
	if err := errors.Join(cli.Count(args, 1, 1, "--spec FILE <guest>"), c.line.Empty()); err != nil {
		return err
	}
	s, err := cli.ReadSpec(c.spec, kinds()...)
	if err != nil {
		return err
	}
	return c.attachDeclared(ctx, args[0], keep.Declared{Spec: s}, ": pipework watch does")
}

// attachDeclared attaches; keeper says who keeps a lease that nobody does yet.
func (c *command) attachDeclared(ctx context.Context, guest string, d keep.Declared, keeper string) error {
	unrecorded, err := c.open()
	if err != nil {
		return err
	}
	ref, err := c.resolveFor(ctx, "attach", guest, d.Spec.Name)
	if err != nil {
		return err
	}
	at, keep, err := c.Attach(ctx, ref, d)
	if c.waitGuest == 0 && find.Starts(ctx, c.Target(ref), err) {
		at, keep, err = c.Attach(ctx, ref, d)
	}
	if err != nil {
		return err
	}
	cli.Warn(c.warn, append(at.Warnings, unrecorded...)...)
	if keep != nil || at.Existed || at.Lease == nil && at.Lease6 == nil {
		keeper = ""
	}
	if err := c.Show(at, "%s%s\n", cli.Attachment(at), keeper); err != nil || keep == nil {
		return err
	}
	return keep(ctx)
}
