package watch

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestDrift has an interface differ in several ways, one after the other.
func TestDrift(t *testing.T) {
	var d drift
	for _, step := range []struct {
		is, unmended, back []string
	}{
		{},
		{is: []string{"down"}, unmended: []string{"down"}},
		{is: []string{"down", "mtu"}, unmended: []string{"mtu"}, back: []string{"down"}},
		{is: []string{"down"}},
		{is: []string{"mtu"}, back: []string{"mtu"}},
		{is: []string{"mtu", "down"}},
	} {
		d.is = step.is
		back := d.back(mostCalm)
		if got, want := fmt.Sprint(d.unmended(), back), fmt.Sprint(step.unmended, step.back); got != want {
			t.Errorf("%v: to be mended, and back: %s, want %s", step.is, got, want)
		}
		d = d.all(mended)
	}
}

// TestDriftOfLater has the same difference come back, later and later, and at last soon.
func TestDriftOfLater(t *testing.T) {
	d := drift{is: []string{"down"}}
	for _, step := range []struct {
		after time.Duration
		mend  bool
	}{
		{0, true}, {leastCalm, true}, {2 * leastCalm, true}, {4*leastCalm - time.Second, false}, {mostCalm, false},
	} {
		for what, was := range d.dealt {
			was.at = was.at.Add(-step.after)
			d.dealt[what] = was
		}
		back := d.back(mostCalm)
		if mend := len(d.unmended()) > 0; mend != step.mend || mend && len(back) > 0 {
			t.Errorf("after %v: to be mended %v, back: %q", step.after, mend, back)
		}
		d = d.all(mended)
	}
}

// TestDriftOfRareComparisons has a difference be there again at every comparison, of which
// there is one in a day: that is not mended for ever.
func TestDriftOfRareComparisons(t *testing.T) {
	const day = 24 * time.Hour
	d, mends := drift{is: []string{"down"}}, 0
	for range 100 {
		for what, was := range d.dealt {
			was.at = was.at.Add(-day)
			d.dealt[what] = was
		}
		d.back(longestCalm(day))
		mends += len(d.unmended())
		d = d.all(mended)
	}
	if mends > 12 {
		t.Errorf("it was mended %d times", mends)
	}
	for resync, want := range map[time.Duration]time.Duration{-1: mostCalm, 0: mostCalm, time.Minute: mostCalm, day: 2 * day} {
		if got := longestCalm(resync); got != want {
			t.Errorf("longest after %v: %v", resync, got)
		}
	}
	if longestCalm(math.MaxInt64) < mostCalm {
		t.Error("it runs over")
	}
}

// TestDriftIsBounded has the guest choose ever new differences: no more are mended, or
// remembered, than so many.
func TestDriftIsBounded(t *testing.T) {
	var d drift
	tried := 0
	for i := range 10 * mostMended {
		d.is = []string{fmt.Sprint("mtu ", i), fmt.Sprint("mac ", i)}
		tried += len(d.unmended())
		d = d.all(mended)
	}
	if tried != mostMended || len(d.dealt) != mostMended {
		t.Errorf("%d mended, %d remembered", tried, len(d.dealt))
	}
}
