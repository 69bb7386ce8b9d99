package cli

import (
	"context"

	"github.com/go-pipework/pipework/internal/driververb"
	"github.com/go-pipework/pipework/keep"
)

// dockerDriver runs until it is interrupted.
func (o *Options) dockerDriver(ctx context.Context, v Verbs) (err error) {
	if v.Plugger.Store, err = keep.Open(o.RecordsDir(), v.Kinds...); err != nil { // where its Target looks, too
		return err
	}
	p := *v.Plugger
	d := driververb.Options{Socket: o.socket, Engines: o.Engines}
	p.Log, d.Log = o.WatchLoggers()
	return d.Serve(ctx, p)
}
