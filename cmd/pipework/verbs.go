package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

func (c *command) detach(ctx context.Context, args []string) error {
	asked, err := config.ParseDetach(args)
	if err != nil {
		return err
	}
	if _, err := c.open(); err != nil {
		return err
	}
	guest, err := c.resolve(ctx, asked.Guest)
	if err != nil {
		return &pipework.Error{Op: "detach", Stage: pipework.StageGuest, Interface: cmp.Or(asked.Name, pipework.DefaultName), Err: err}
	}
	opts := keep.DetachOptions{Force: c.flags.Force, ResolvConf: c.flags.ResolvConf}
	if asked.All {
		gone, err := c.DetachGuest(ctx, guest, opts)
		return errors.Join(err, c.showDetached(guest, gone, err))
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

// showDetached tells of all that were detached; of none only where nothing failed.
func (c *command) showDetached(guest ns.Ref, gone []*keep.Record, failed error) error {
	if len(gone) == 0 && failed != nil {
		return nil
	}
	attachments := []*pipework.Attachment{}
	var lines strings.Builder
	for _, r := range gone {
		fmt.Fprintln(&lines, cli.Detached(r))
		if r.Attachment != nil {
			attachments = append(attachments, r.Attachment)
		}
	}
	if len(gone) == 0 {
		fmt.Fprintf(&lines, "%s: nothing to detach\n", guest)
	}
	return c.Show(attachments, "%s", lines.String())
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
	case c.JSON || len(all) == 0:
		return errors.Join(err, c.Show(append([]*pipework.Attachment{}, all...), "nothing is plugged in\n"))
	}
	return errors.Join(err, cli.WriteTable(c.Out, all))
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
		_, err = c.open()
	}
	if err != nil {
		return err
	}
	if c.Log == nil {
		c.logFrom(slog.LevelWarn)
	}
	lines, err := collect(ctx)
	text := strings.Join(append(lines, ""), "\n")
	return errors.Join(err, c.Show(append([]string{}, lines...), "%s", text))
}

func tool(ctx context.Context, args []string) error {
	t, err := config.ParseTool(args)
	if err != nil {
		return err
	}
	return cli.Tool(ctx, find.Guest(t.Guest), t.Words)
}

// wait is typed inside a container.
func wait(ctx context.Context, args []string) error {
	w, err := config.ParseWait(args)
	if err != nil {
		return err
	}
	if w.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.Timeout)
		defer cancel()
	}
	state := link.Running
	if w.Address {
		state = link.Addressed
	}
	return link.Await(ctx, nil, cmp.Or(w.Name, pipework.DefaultName), state)
}
