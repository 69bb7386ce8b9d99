package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/keep/health"
	"github.com/go-pipework/pipework/ns/docker"
)

// watch runs until it is interrupted.
func (c *command) watch(ctx context.Context, args []string) error {
	asked, err := config.ParseWatch(args)
	if err != nil {
		return err
	}
	if err := c.openStore(); err != nil {
		return err
	}
	w := &keep.Watcher{Plugger: c.Plugger, Declarations: asked.Declarations, Machine: machine(), Log: c.Log}
	for _, address := range asked.Engines {
		w.Sources = append(w.Sources, docker.At(address))
	}
	if asked.Engines == nil {
		w.Sources = docker.Engines()
	}
	if w.Log == nil {
		w.Log = slog.New(slog.NewTextHandler(c.warn, nil))
	}
	w.Notify, w.Watchdog = keep.Systemd()
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

// machine tells this machine from others.
func machine() string {
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		return string(id)
	}
	name, _ := os.Hostname()
	return name
}
