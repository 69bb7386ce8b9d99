package main

import (
	"context"
	"log/slog"

	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/watch"
	"github.com/go-pipework/pipework/watch/health"
)

// watch runs until it is interrupted.
func (c *command) watch(ctx context.Context, args []string) error {
	err := cli.Count(args, 0, 0, "watch [options]")
	if err != nil {
		return err
	}
	if c.declarations.Policy, err = cli.ReadPolicy(c.policy); err != nil {
		return err
	}
	if c.Store, err = keep.Open(cli.RecordsDir(c.state), kinds()...); err != nil {
		return err
	}
	told := c.Log
	if !c.verbose { // what is done, and of its steps only warnings
		c.Log, told = cli.Log(c.warn, slog.LevelWarn), cli.Log(c.warn, slog.LevelInfo)
	}
	w := &watch.Watcher{
		Plugger: c.Plugger, Sources: docker.Engines(c.engines...),
		Declarations: c.declarations, Machine: watch.Machine(), Log: told,
	}
	w.Notify, w.Watchdog = watch.Systemd()
	if c.metrics != "" {
		end, err := health.Serve(ctx, c.metrics, w)
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
