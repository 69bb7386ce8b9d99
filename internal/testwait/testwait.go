// Package testwait lets a test wait for what happens in its own time: in the
// kernel, in another process, in another goroutine.
package testwait

import (
	"testing"
	"time"
)

// Patience is how long a test waits at most for anything. It is no measure of how
// long a thing may take: it only ends a test that waits in vain, so it is longer
// than the busiest machine needs.
const Patience = 2 * time.Minute

// interval is the time between two looks.
const interval = 5 * time.Millisecond

// Eventually returns once holds returns true. It fails the test, and names what it
// waited for, if that takes longer than [Patience]. Call it from the test's own
// goroutine.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(interval) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

// Receive returns what comes from a channel next, or its zero value once it is
// closed. It fails the test as [Eventually] does.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		t.Fatalf("not within %v: %s", Patience, what)
		panic("not reached")
	}
}
