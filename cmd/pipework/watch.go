package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/watch"
	"github.com/go-pipework/pipework/watch/health"
)

// watch runs until it is interrupted.
func (c *command) watch(ctx context.Context, args []string) error {
	asked, err := config.ParseWatch(args)
	if err != nil {
		return err
	}
	c.Store, err = keep.Open(cli.RecordsDir(c.flags.State), kinds()...)
	if errs.IsUnwritable(err) {
		cli.Warn(c.warn, fmt.Sprintf("nothing is recorded: %v", err))
	} else if err != nil {
		return err
	}
	told := c.Log
	if !c.flags.Verbose { // what is done, and of its steps only warnings
		c.Log, told = cli.Log(c.warn, slog.LevelWarn), cli.Log(c.warn, slog.LevelInfo)
	}
	w := &watch.Watcher{
		Plugger: c.Plugger, Sources: docker.Engines(asked.Engines...),
		Declarations: asked.Declarations, Machine: watch.Machine(), Log: told,
	}
	w.Notify, w.Watchdog = watch.Systemd()
	if asked.Metrics != "" {
		end, err := health.Serve(ctx, asked.Metrics, w)
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
