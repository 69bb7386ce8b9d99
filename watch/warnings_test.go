package watch

import (
	"fmt"
	"testing"
	"time"
)

// TestWarnings has a warning be told once, also where a comparison misses it, and once more when
// it was away for long; of ever new ones only so many.
func TestWarnings(t *testing.T) {
	w, now := warnings{}, time.Now()
	for i, step := range []struct {
		after time.Duration
		found []string
		told  int
	}{
		{0, []string{"a", "b"}, 2},
		{time.Minute, []string{"a"}, 0},
		{time.Minute, []string{"a", "b"}, 0},
		{time.Minute, nil, 0},
		{time.Minute, []string{"b", "c"}, 1},
		{50 * time.Minute, []string{"b"}, 0},
		{50 * time.Minute, []string{"a", "b"}, 1},
	} {
		now = now.Add(step.after)
		told := 0
		for _, text := range step.found {
			if w.isNew(text, now) {
				told++
			}
		}
		if told != step.told {
			t.Errorf("step %d: told %d, want %d", i, told, step.told)
		}
	}
	told := 0
	for i := range 1000 {
		if w.isNew(fmt.Sprint(i), now) {
			told++
		}
	}
	if len(w) != mostWarnings || told > mostWarnings {
		t.Errorf("%d of ever new ones are told, %d kept", told, len(w))
	}
}
