package watch

import (
	"testing"
	"time"
)

// TestWakes has events follow one another ever sooner, and then none for long.
func TestWakes(t *testing.T) {
	w, k, now := wakes{}, ref{id: "web"}, time.Now()
	for _, step := range []struct{ after, wait time.Duration }{
		{0, firstWake}, {0, 2 * firstWake}, {firstWake, 4 * firstWake}, {time.Hour, firstWake}, {4 * firstWake, firstWake},
	} {
		now = now.Add(step.after)
		w.add(k, now)
		w.add(k, now.Add(time.Millisecond)) // which changes nothing
		if got := w.next().Sub(now); got != step.wait {
			t.Errorf("%v later it is compared after %v, want %v", step.after, got, step.wait)
		}
		if early := w.due(now.Add(step.wait - 1)); len(early) > 0 {
			t.Error("it was compared early")
		}
		if now = now.Add(step.wait); len(w.due(now)) != 1 || !w.next().IsZero() {
			t.Error("it was not compared")
		}
	}
	if w.due(now.Add(time.Hour)); len(w) > 0 {
		t.Error("it is remembered for ever")
	}
}
