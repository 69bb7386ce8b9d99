package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// maxTries bounds how often a guest is looked up that changes its process just
// then; the pauses between add up to 150 ms.
const maxTries = 5

var errMoved = errors.New("the process has changed")

// Open opens the process that find names, and asks find again while it holds the
// process: a number that went to another process in between can never be taken
// for the guest. find must tell what is so now, not what it once heard; its
// errors are returned as they are. The guest is who find says.
func Open(ctx context.Context, find func(context.Context) (ns.Identity, error)) (*ns.Guest, error) {
	pause := 10 * time.Millisecond
	for try := 1; ; try++ {
		id, err := find(ctx)
		if err != nil {
			return nil, err
		}
		g, err := hold(ctx, id, find)
		if try == maxTries || !errors.Is(err, errMoved) {
			return g, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s keeps changing: %w", id.Name, context.Cause(ctx))
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func hold(ctx context.Context, id ns.Identity, find func(context.Context) (ns.Identity, error)) (*ns.Guest, error) {
	g, err := ns.PID(id.PID).Open(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, moved(id)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id.Name, err)
	}
	again, err := find(ctx)
	if err == nil && (again.PID != id.PID || g.Alive() != nil) {
		err = moved(id)
	}
	if err != nil {
		_ = g.Close()
		return nil, err
	}
	g.Identity = id
	return g, nil
}

func moved(id ns.Identity) error {
	return errs.New(errMoved, "%w", errs.New(fs.ErrNotExist, "%s has no process that stays", id.Name))
}
