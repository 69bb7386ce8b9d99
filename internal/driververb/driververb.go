// Package driververb is what the verb docker-driver does beside calling the library.
package driververb

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/plugin"
	"github.com/go-pipework/pipework/plugin/docker"
	"github.com/go-pipework/pipework/watch"
)

// Options are those of the verb.
type Options struct {
	Socket  string       // where Docker finds the driver; "": where it looks
	Engines []string     // the first is the socket of the Docker that is asked; none: the usual one
	Log     *slog.Logger // hears what was done
}

// Serve answers Docker until ctx ends. The Plugger has its Store.
func (o Options) Serve(ctx context.Context, p keep.Plugger) error {
	l, err := docker.Listen(cmp.Or(o.Socket, docker.DefaultSocket))
	if err != nil {
		return err
	}
	d := docker.Driver{Host: &plugin.Host{Plugger: p}, Log: o.Log}
	if len(o.Engines) > 0 {
		d.Engine = o.Engines[0]
	}
	if notify, _ := watch.Systemd(); notify != nil {
		notify("READY=1")
	}
	return d.Serve(ctx, l)
}
