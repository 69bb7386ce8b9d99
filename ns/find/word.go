package find

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/ns"
)

// Word is the word for the same guest that says its kind: docker:web for web. A
// guest that is known, and does not run, has one too. Another word than a bare
// name is its own. A guest that is not there yet is waited for; see [Wait]. One that
// is not there at all has the word that recorded, unless it is nil, remembers for
// the name, if that is not "". Errors are those of opening the guest.
func Word(ctx context.Context, word string, wait time.Duration, recorded func(name string) string) (string, error) {
	full, err := wordNow(ctx, word, wait)
	if errors.Is(err, fs.ErrNotExist) && recorded != nil && wait <= 0 {
		if known := recorded(word); known != "" {
			return known, nil
		}
	}
	return full, err
}

func wordNow(ctx context.Context, word string, wait time.Duration) (string, error) {
	target := Guest(word)
	full := &worded{Target: target, full: word}
	if name, bare := target.(Name); bare {
		full.Target, full.full = nil, ""
		full.name = name
	} else if wait <= 0 {
		return word, nil
	}
	g, err := Wait{Target: full, For: wait}.Open(ctx)
	if err == nil {
		err = g.Close()
	}
	if full.full != "" && errors.Is(err, fs.ErrNotExist) && wait <= 0 {
		err = nil // known, and does not run
	}
	return full.full, err
}

// A worded guest notes how it is spelt when it is opened.
type worded struct {
	ns.Target // nil: the name is looked up
	name      Name
	full      string
}

// Open opens the guest.
func (w *worded) Open(ctx context.Context) (*ns.Guest, error) {
	if w.Target != nil {
		return w.Target.Open(ctx)
	}
	g, full, err := lookUpWord(ctx, w.name, places[:])
	w.full = full
	return g, err
}
