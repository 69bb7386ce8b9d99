package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns/find"
)

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
	text, err := cli.ReadSpec(c.flags.Spec)
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
	ref, err := c.resolveFor(ctx, "attach", guest, d.Spec.Name)
	if err != nil {
		return err
	}
	at, keep, err := c.Attach(ctx, ref, d)
	if c.flags.WaitGuest == 0 && find.Starts(ctx, c.Target(ref), err) {
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
