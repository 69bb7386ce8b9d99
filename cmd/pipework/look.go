package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

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

func (c *command) check(ctx context.Context, words []string) error {
	if c.explaining {
		return c.explain(ctx, words)
	}
	err := c.openExisting()
	if err != nil {
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
	err := cli.Count(args, 0, 0, "gc [--dry-run]")
	if err != nil {
		return err
	}
	collect := c.Collect
	if c.dryRun {
		collect, err = c.Orphans, c.openExisting()
	} else {
		_, err = c.open()
	}
	if err != nil {
		return err
	}
	lines, err := collect(ctx)
	return errors.Join(err, c.Show(append([]string{}, lines...), "%s", cli.Lines(lines)))
}
