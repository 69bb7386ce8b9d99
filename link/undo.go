package link

import (
	"context"
	"fmt"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// undoTime bounds the clean-up after a failure, which runs although the
// caller's context may have ended.
const undoTime = 10 * time.Second

// An Undo is the way back from a half-done change: each step is pushed on the
// line after the change that it reverses. The zero value is ready. It is not
// safe for use by several goroutines.
type Undo struct {
	steps []undoStep
}

type undoStep struct {
	what string
	f    func(context.Context) error
}

// Push adds a step; what names it in an error. A step whose work is done
// already, or was never needed, returns nil.
func (u *Undo) Push(what string, f func(context.Context) error) {
	u.steps = append(u.steps, undoStep{what, f})
}

// Run takes the steps back, the last one first, all of them whatever fails, and
// forgets them. It keeps ctx's values but not its end: clean-up has its own
// ten seconds.
func (u *Undo) Run(ctx context.Context) error {
	if fault.Killed(ctx) {
		return nil
	}
	ctx, cancel := context.WithTimeout(fault.Off(ctx), undoTime)
	defer cancel()
	var failed []error
	for i := len(u.steps) - 1; i >= 0; i-- {
		if err := u.steps[i].f(ctx); err != nil {
			failed = append(failed, fmt.Errorf("undo %s: %w", u.steps[i].what, err))
		}
	}
	u.steps = nil
	return errs.Join(failed...)
}
