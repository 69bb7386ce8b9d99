package watch

import (
	"maps"
	"time"
)

// warnings are those that were told of a guest, each with when it was last found.
type warnings map[string]time.Time

// A comparison may miss what the one before has found, such as another host that answers late.
// So a warning is told once more only where it was not found for forgetTime. Whoever is root in
// the guest can bring about ever new ones, of which no more than mostWarnings are told meanwhile.
const (
	forgetTime   = time.Hour
	mostWarnings = 100
)

// isNew says whether a warning that was found now is to be told.
func (w warnings) isNew(text string, now time.Time) bool {
	maps.DeleteFunc(w, func(_ string, found time.Time) bool { return now.Sub(found) > forgetTime })
	_, known := w[text]
	if !known && len(w) >= mostWarnings {
		return false
	}
	w[text] = now
	return !known
}
