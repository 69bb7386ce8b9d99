package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/watch"
	"github.com/go-pipework/pipework/watch/health"
)

func (c *command) detach(ctx context.Context, words []string) (err error) {
	if c.Store, err = c.asked.OpenRecordsIfWritable(kinds()...); err != nil {
		return err
	}
	guests, err := c.guests(ctx, "detach", c.asked.Line.Name, words...)
	for _, guest := range guests {
		err = errors.Join(err, c.detachFrom(ctx, guest, c.asked.Line.Name))
	}
	return err
}

func (c *command) detachFrom(ctx context.Context, guest ns.Ref, name string) error {
	if c.asked.All {
		gone, err := c.DetachGuest(ctx, guest, c.asked.Detach)
		if len(gone) == 0 && err != nil {
			return err
		}
		return errors.Join(err, c.asked.ShowDetached(guest, gone))
	}
	r, err := c.Detach(ctx, guest, name, c.asked.Detach)
	if err != nil {
		return err
	}
	return c.asked.ShowDetachedOne(ctx, guest, cmp.Or(name, pipework.DefaultName), r)
}

func (c *command) list(ctx context.Context, guests []string) (err error) {
	var targets []pipework.Target
	for _, g := range guests {
		targets = append(targets, find.Guest(g))
	}
	if c.Store, err = c.asked.OpenExistingRecords(kinds()...); err != nil {
		c.asked.Warn(fmt.Sprintf("compared with no records: %v", err))
	}
	all, warnings, err := c.Listing(ctx, targets...)
	c.asked.Warn(warnings...)
	return c.asked.ShowList(all, err)
}

func (c *command) check(ctx context.Context, words []string) (err error) {
	if c.Store, err = c.asked.OpenExistingRecords(kinds()...); err != nil {
		return err
	}
	guests, err := c.guests(ctx, "", "", words...)
	if err != nil {
		return err
	}
	found, err := c.Status(ctx, guests...)
	if err == nil && c.asked.Mend {
		return c.asked.ShowMended(ctx, found, &c.Plugger)
	}
	return errors.Join(err, c.asked.ShowStatus(found))
}

func (c *command) collect(ctx context.Context, _ []string) (err error) {
	collect := c.Collect
	if c.asked.DryRun {
		collect = c.Orphans
	}
	if c.Store, err = c.asked.OpenRecordsIfWritable(kinds()...); err != nil {
		return err
	}
	all, err := collect(ctx)
	return errors.Join(err, c.asked.ShowCollected(all))
}

// watch runs until it is interrupted.
func (c *command) watch(ctx context.Context, _ []string) (err error) {
	if c.Store, err = c.asked.OpenRecordsIfWritable(kinds()...); err != nil {
		return err
	}
	w := &watch.Watcher{Sources: docker.Engines(c.asked.Engines...), Declarations: c.asked.Declarations, Machine: watch.Machine()}
	c.Log, w.Log = c.asked.WatchLoggers()
	w.Plugger = c.Plugger
	w.Notify, w.Watchdog = watch.Systemd()
	if c.asked.Metrics != "" {
		end, err := health.Serve(ctx, c.asked.Metrics, w)
		if err != nil {
			return err
		}
		defer end()
	}
	if err := w.Run(ctx); ctx.Err() == nil {
		return err
	}
	return nil // it was to end
}
