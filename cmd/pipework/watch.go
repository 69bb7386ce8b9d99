package main

import (
	"context"
	"log/slog"

	"github.com/go-pipework/pipework/config"
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
	if c.Store, err = keep.Open(recordsDir(c.flags.State), kinds()...); err != nil {
		return err
	}
	w := &watch.Watcher{
		Plugger: c.Plugger, Sources: docker.Engines(asked.Engines...),
		Declarations: asked.Declarations, Machine: watch.Machine(), Log: c.Log,
	}
	if w.Log == nil {
		w.Log = slog.New(slog.NewTextHandler(c.warn, nil))
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
