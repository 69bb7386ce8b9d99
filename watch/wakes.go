package watch

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A use is how guests use a link of the host.
type use int

const (
	hostEnd use = 1 << iota // it is the other end of their interface
	beneath                 // it is the bridge or the parent of that
)

// The time from an event to the comparison of a guest: so much that who recreates a bridge
// has done so, and more where events follow one another, which something else may bring
// about again and again.
const (
	firstWake = 500 * time.Millisecond
	lastWake  = time.Minute
)

// wakes are when guests are to be compared.
type wakes map[ref]*wake

type wake struct {
	due  time.Time // zero: not at all
	last time.Time // when it was compared
	wait time.Duration
}

// add has a guest compared, unless it is to be already.
func (w wakes) add(k ref, now time.Time) {
	one := w[k]
	switch {
	case one == nil:
		one = &wake{wait: firstWake}
		w[k] = one
	case !one.due.IsZero():
		return
	case now.Sub(one.last) < 4*one.wait:
		one.wait = min(2*one.wait, lastWake)
	default:
		one.wait = firstWake
	}
	one.due = now.Add(one.wait)
}

// next is when the next one is due; zero: never.
func (w wakes) next() (next time.Time) {
	for _, one := range w {
		if !one.due.IsZero() && (next.IsZero() || one.due.Before(next)) {
			next = one.due
		}
	}
	return next
}

// due are those that are to be compared now. Those that nothing has happened to for long are
// forgotten.
func (w wakes) due(now time.Time) (list []ref) {
	maps.DeleteFunc(w, func(_ ref, one *wake) bool {
		return one.due.IsZero() && now.Sub(one.last) > 4*lastWake
	})
	for k, one := range w {
		if !one.due.IsZero() && !one.due.After(now) {
			one.due, one.last = time.Time{}, now
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b ref) int { return cmp.Compare(a.id, b.id) })
	return list
}
