package finish

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		reason := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
		late, end := Context(ctx)
		defer end()
		if late.Value(key{}) != "kept" {
			t.Error("a value is lost")
		}
		cancel(reason)
		time.Sleep(Time - time.Second)
		if err := late.Err(); err != nil {
			t.Errorf("it has ended: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := context.Cause(late); !errors.Is(err, reason) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEndIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		late, end := Context(ctx)
		cancel()
		synctest.Wait()
		end()
		synctest.Wait() // no goroutine is left, which would fail the bubble
		if late.Err() == nil {
			t.Error("it has not ended")
		}
	})
}
