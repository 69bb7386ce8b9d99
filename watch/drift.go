package watch

import (
	"maps"
	"math"
	"slices"
	"time"
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
type dealt struct {
	fate fate
	at   time.Time
	calm time.Duration // one that comes back earlier than this is left so
}

// A fate is what became of a difference.
type fate string

const (
	mended fate = "mended"
	left   fate = "left" // it came back soon, or cannot be mended, which was told
)

// What comes back later than leastCalm has another cause, such as a bridge that is
// recreated once more, and is mended again. The next time it has to stay away twice as long, up to
// mostCalm, or two comparisons: nobody is fought with.
const (
	leastCalm = time.Minute
	mostCalm  = time.Hour
)

// unmended is what is to be mended yet.
func (d drift) unmended() []string {
	if len(d.dealt) >= mostMended {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(d.is), func(what string) bool { return d.dealt[what].fate != "" })
}

// all is the drift with all that differs dealt with so.
func (d drift) all(as fate) drift {
	done := maps.Clone(d.dealt)
	if done == nil {
		done = map[string]dealt{}
	}
	for _, what := range d.is {
		was, known := done[what]
		if was.fate != left && (known || len(done) < mostMended) {
			done[what] = dealt{as, time.Now(), max(was.calm, leastCalm)}
		}
	}
	return drift{d.is, done}
}

// longestCalm is the longest time that a difference has to stay away, where comparisons are
// this far apart: more than one of them, as what comes back is found no sooner.
func longestCalm(resync time.Duration) time.Duration {
	return max(mostCalm, 2*min(resync, math.MaxInt64/2))
}

// back is what has come back soon after it was mended, and is left so from now on. What
// has stayed away for long is to be mended again, most being the longest that it has to.
func (d drift) back(most time.Duration) (again []string) {
	for _, what := range d.is {
		was := d.dealt[what]
		switch {
		case was.fate != mended:
		case time.Since(was.at) >= was.calm:
			d.dealt[what] = dealt{calm: min(2*was.calm, most)}
		default:
			d.dealt[what] = dealt{fate: left}
			again = append(again, what)
		}
	}
	return again
}
