package dhcp

import (
	"errors"
	"testing"
	"time"
)

// TestTimesOfServers has servers say every odd pair of T1 and T2.
func TestTimesOfServers(t *testing.T) {
	const s = time.Second
	type times = [2]time.Duration
	for name, test := range map[string]struct {
		life   time.Duration
		t1, t2 time.Duration
		want   times
	}{
		"both absent":               {600 * s, 0, 0, times{300 * s, 525 * s}},
		"T1 absent":                 {600 * s, 0, 400 * s, times{300 * s, 400 * s}},
		"T1 absent, T2 early":       {600 * s, 0, 160 * s, times{140 * s, 160 * s}},
		"T2 absent":                 {600 * s, 50 * s, 0, times{50 * s, 525 * s}},
		"as told":                   {600 * s, 50 * s, 60 * s, times{50 * s, 60 * s}},
		"T1 after T2":               {600 * s, 500 * s, 400 * s, times{300 * s, 400 * s}},
		"T1 is T2":                  {600 * s, 400 * s, 400 * s, times{300 * s, 400 * s}},
		"T2 after the end":          {600 * s, 50 * s, 601 * s, times{50 * s, 525 * s}},
		"both after the end":        {600 * s, 700 * s, 900 * s, times{300 * s, 525 * s}},
		"both at once":              {600 * s, 1 * s, 1 * s, times{11 * s, 525 * s}},
		"both at once, of a day":    {86400 * s, 1 * s, 2 * s, times{60 * s, 75600 * s}},
		"T1 at once":                {600 * s, 1 * s, 400 * s, times{11 * s, 400 * s}},
		"a lease of two seconds":    {120 * s / 60, 0, 0, times{s + s/30, 1750 * time.Millisecond}},
		"a lease of one second":     {s, 0, 0, times{s, s}},
		"the longest lease":         {forever - s, 0, 0, times{(forever - s) / 2, (forever - s) / 8 * 7}},
		"never, of a lease that is": {600 * s, forever, forever, times{300 * s, 525 * s}},
	} {
		if t1, t2 := times4(test.life, test.t1, test.t2); (times{t1, t2}) != test.want {
			t.Errorf("%s: %v and %v, want %v", name, t1, t2, test.want)
		}
	}
}

// TestTimesOfServers6 has DHCPv6 servers do the same, for addresses that are
// preferred for 300 of 600 seconds.
func TestTimesOfServers6(t *testing.T) {
	const s = time.Second
	type times = [2]time.Duration
	for name, test := range map[string]struct {
		preferred time.Duration
		t1, t2    time.Duration
		want      times
	}{
		"both absent":            {300 * s, 0, 0, times{150 * s, 240 * s}},
		"T1 absent":              {300 * s, 0, 200 * s, times{125 * s, 200 * s}},
		"T2 absent":              {300 * s, 100 * s, 0, times{100 * s, 240 * s}},
		"T2 absent, T1 late":     {300 * s, 400 * s, 0, times{400 * s, 525 * s}},
		"as told":                {300 * s, 100 * s, 110 * s, times{100 * s, 110 * s}},
		"both at once":           {300 * s, 1 * s, 1 * s, times{11 * s, 525 * s}},
		"preferred for a second": {s, 0, 0, times{11 * s, 525 * s}},
		"never":                  {300 * s, forever, forever, times{600 * s, 600 * s}},
		"rebound alone":          {300 * s, forever, 500 * s, times{600 * s, 600 * s}},
	} {
		if t1, t2 := times6(600*s, 600*s, test.preferred, test.t1, test.t2); (times{t1, t2}) != test.want {
			t.Errorf("%s: %v and %v, want %v", name, t1, t2, test.want)
		}
	}
}

// TestEveryTime has all of them in order, and T1 no sooner than the interval.
func TestEveryTime(t *testing.T) {
	list := []time.Duration{0, 1, 2, 3, 5, 60, 599, 600, 601, 86400, 1 << 31, 1<<32 - 2, 1<<32 - 1}
	check := func(life, t1, t2 time.Duration) {
		if t1 < min(interval(life), life) || t1 > t2 || t2 > life {
			t.Errorf("a lease of %v: %v and %v", life, t1, t2)
		}
	}
	for _, life := range list[1:] {
		for _, t1 := range list {
			for _, t2 := range list {
				a, b := times4(life*time.Second, t1*time.Second, t2*time.Second)
				check(life*time.Second, a, b)
				for _, preferred := range list {
					a, b := times6(life*time.Second, life*time.Second, preferred*time.Second, t1*time.Second, t2*time.Second)
					check(life*time.Second, a, b)
				}
			}
		}
	}
}

// TestWaits doubles the waits of discovery up to a minute, and lets ten seconds
// pass after an address in use.
func TestWaits(t *testing.T) {
	var got []time.Duration
	for wait := longer(0, nil); len(got) < 8; wait = longer(wait, ErrNAK) {
		got = append(got, wait/time.Second)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if got[i] != want {
			t.Errorf("waits %d", got)
			break
		}
	}
	if wait := longer(0, errors.Join(ErrInUse)); wait != DeclineWait {
		t.Errorf("%v after an address in use", wait)
	}
}
