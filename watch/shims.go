package watch

import (
	"context"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
)

// shims keeps the interfaces by which the host reaches macvlan guests: they are there, and
// routes by them lead to the guests that are recorded. It also has the host's own leases kept.
type shims struct {
	plugger   *keep.Plugger
	requested chan struct{} // of capacity 1
	leases    *uplinkLeases
	log       logger
	told      string // the last error, which is told once
}

// shimDelay is between two looks: many guests that come at once cost a few.
const shimDelay = 200 * time.Millisecond

// request asks for a look soon.
func (s *shims) request() {
	select {
	case s.requested <- struct{}{}:
	default:
	}
}

// run looks whenever it is asked to, until ctx ends.
func (s *shims) run(ctx context.Context) error {
	for {
		s.follow(ctx)
		s.leases.follow(ctx)
		if pause.For(ctx, shimDelay) != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.requested:
		}
	}
}

func (s *shims) follow(ctx context.Context) {
	working, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	err := uplink.Follow(working, s.plugger.Store, s.plugger.Host)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != s.told && err != nil {
		s.log.warn(ctx, "shim", "error", err)
	}
	s.told = text
}
