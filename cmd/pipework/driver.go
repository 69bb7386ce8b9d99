package main

import (
	"cmp"
	"context"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/plugin"
	"github.com/go-pipework/pipework/plugin/docker"
	"github.com/go-pipework/pipework/watch"
)

// dockerDriver runs until it is interrupted.
func (c *command) dockerDriver(ctx context.Context, _ []string) (err error) {
	if c.Store, err = keep.Open(c.asked.RecordsDir(), kinds()...); err != nil {
		return err
	}
	l, err := docker.Listen(cmp.Or(c.asked.Socket, docker.DefaultSocket))
	if err != nil {
		return err
	}
	steps, done := c.asked.WatchLoggers()
	c.Log = steps
	d := docker.Driver{Host: &plugin.Host{Plugger: c.Plugger}, Log: done}
	if len(c.asked.Engines) > 0 {
		d.Engine = c.asked.Engines[0]
	}
	if notify, _ := watch.Systemd(); notify != nil {
		notify("READY=1")
	}
	return d.Serve(ctx, l)
}
