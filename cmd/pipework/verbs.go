package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

func (c *command) detach(ctx context.Context, args []string) error {
	asked, err := config.ParseDetach(args)
	if err != nil {
		return err
	}
	if err := c.openToTake(); err != nil {
		return err
	}
	guest, err := c.resolveFor(ctx, "detach", asked.Guest, asked.Name)
	if err != nil {
		return err
	}
	opts := keep.DetachOptions{Force: c.flags.Force, ResolvConf: c.flags.ResolvConf}
	if asked.All {
		gone, err := c.DetachGuest(ctx, guest, opts)
		if len(gone) == 0 && err != nil {
			return err
		}
		attachments, text := cli.DetachedAll(guest, gone)
		return errors.Join(err, c.Show(attachments, "%s", text))
	}
	r, err := c.Detach(ctx, guest, asked.Name, opts)
	switch {
	case err != nil:
		return err
	case r == nil:
		return c.Show(nil, "%s has no %s: nothing to detach\n", guest, cmp.Or(asked.Name, pipework.DefaultName))
	}
	if ctx.Err() != nil {
		fmt.Fprintln(c.warn, "pipework: interrupted when it had begun: it is finished")
	}
	return c.Show(r.Attachment, "%s\n", cli.Detached(r))
}

func (c *command) list(ctx context.Context, guests []string) error {
	targets := make([]pipework.Target, 0, len(guests))
	for _, g := range guests {
		targets = append(targets, find.Guest(g))
	}
	if err := c.openExisting(); err != nil {
		cli.Warn(c.warn, fmt.Sprintf("compared with no records: %v", err))
	}
	all, warnings, err := c.Listing(ctx, targets...)
	cli.Warn(c.warn, append(warnings, cli.WarningsOf(all)...)...)
	if err != nil && len(all) == 0 {
		return err
	}
	return errors.Join(err, c.ShowList(all))
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
	return errors.Join(err, cli.Verdict(found), c.Show(found, "%s", cli.Report(found)))
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
		err = c.openToTake()
	}
	if err != nil {
		return err
	}
	lines, err := collect(ctx)
	return errors.Join(err, c.Show(append([]string{}, lines...), "%s", cli.Lines(lines)))
}
