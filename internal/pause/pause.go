// Package pause waits in a way that a context can end.
package pause

import (
	"context"
	"time"
)

// For waits for d. Where ctx ends before, it returns the cause of that.
func For(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
