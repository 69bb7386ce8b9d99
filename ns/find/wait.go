package find

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Wait is a Target that is waited for: a guest that is not there yet, or does not
// run yet, is looked for again, first after 20 milliseconds, then less often, at
// least twice a second. Other failures are returned at once.
type Wait struct {
	ns.Target
	// For is how long; 0 does not wait.
	For time.Duration
}

// String is the guest's name.
func (w Wait) String() string { return fmt.Sprint(w.Target) }

// Open returns the guest once it is there. After w.For the error says what was
// missing, and satisfies [context.DeadlineExceeded] and what the Target's error does.
func (w Wait) Open(ctx context.Context) (*ns.Guest, error) {
	if w.For <= 0 {
		return w.Target.Open(ctx)
	}
	late := time.NewTimer(w.For)
	defer late.Stop()
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 500*time.Millisecond) {
		g, err := w.Target.Open(ctx)
		if err == nil || !mayCome(err) {
			return g, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the guest (%w): %w", err, context.Cause(ctx))
		case <-late.C:
			return nil, errs.New(context.DeadlineExceeded, "waited %v for the guest: %w", w.For, err)
		case <-time.After(pause):
		}
	}
}

// mayCome tells whether the guest may be there later: it, or its runtime, is not
// there yet.
func mayCome(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// startTime is how long the classic tool waited for a container that did not run yet.
const startTime = 3 * time.Second

// Starts says whether a guest of which a call has told with err that it is there, and does
// not run, runs now: it waits three seconds for that. With any other err it is false at once.
func Starts(ctx context.Context, guest ns.Target, err error) bool {
	if _, stopped := errors.AsType[errs.Stopped](err); !stopped {
		return false
	}
	g, err := Wait{Target: guest, For: startTime}.Open(ctx)
	if err == nil {
		_ = g.Close()
	}
	return err == nil
}
