package cli

import (
	"cmp"
	"context"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
)

// Wait is typed inside a container: it returns once the interface is there.
func Wait(ctx context.Context, args []string) error {
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
