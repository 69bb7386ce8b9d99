// Package finish is for work that must not stop half-way: begun before its context
// ended, it is done to its end.
package finish

import (
	"context"
	"time"
)

// Time is how long work goes on after its context has ended.
const Time = 10 * time.Second

// Context is ctx, but ends that long after it, or by its CancelFunc.
func Context(ctx context.Context) (context.Context, context.CancelFunc) {
	late, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-late.Done():
		case <-time.After(Time):
			end(context.Cause(ctx))
		}
	})
	return late, func() {
		stop()
		end(nil)
	}
}
