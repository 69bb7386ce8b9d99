package watch

import (
	"maps"
	"slices"
)

// mostMended bounds how many differences of one interface are mended until the guest's next
// start. Whoever is root in the guest can make ever new ones.
const mostMended = 100

// A drift is how an attachment differs from what is declared, and what was done about it
// since the guest's start. It is not changed but by back.
type drift struct {
	is    []string
	dealt map[string]dealt
}

// A dealt is what was done about one difference.
type dealt string

const (
	mended dealt = "mended"
	left   dealt = "left" // it came back, or cannot be mended, which was told
)

// unmended is what is to be mended yet.
func (d drift) unmended() []string {
	if len(d.dealt) >= mostMended {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(d.is), func(what string) bool { return d.dealt[what] != "" })
}

// all is the drift with all that differs dealt with so.
func (d drift) all(as dealt) drift {
	done := maps.Clone(d.dealt)
	if done == nil {
		done = map[string]dealt{}
	}
	for _, what := range d.is {
		if done[what] != left && len(done) < mostMended {
			done[what] = as
		}
	}
	return drift{d.is, done}
}

// back is what has come back after it was mended, and is left so from now on.
func (d drift) back() (again []string) {
	for _, what := range d.is {
		if d.dealt[what] == mended {
			d.dealt[what] = left
			again = append(again, what)
		}
	}
	return again
}
