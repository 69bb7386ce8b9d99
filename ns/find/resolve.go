package find

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/ns"
)

// Resolve is the Ref of the same guest that says its kind: docker:web for web. A
// guest that is known, and does not run, has one too. A Ref that has a kind is
// returned as it is. A guest that is not there yet is waited for; see [Wait]. One
// that is not there at all, as far as those runtimes tell that answer, has the Ref that
// recorded, unless it is nil, remembers for the name, if that is not the zero Ref, nor of a
// runtime that hangs or refuses to answer. Errors are those of opening the guest.
func Resolve(ctx context.Context, ref ns.Ref, wait time.Duration, recorded func(name string) ns.Ref) (ns.Ref, error) {
	full, err := resolveNow(ctx, ref, wait)
	mute, unsaid := errors.AsType[unanswered](err)
	if (unsaid || errors.Is(err, fs.ErrNotExist)) && recorded != nil && wait <= 0 {
		if known := recorded(withoutSlash(ref).String()); known != (ns.Ref{}) && !mute.mayBe(known) {
			return known, nil
		}
	}
	return full, err
}

func resolveNow(ctx context.Context, ref ns.Ref, wait time.Duration) (ns.Ref, error) {
	ref = withoutSlash(ref)
	if ref.Kind != "" && wait <= 0 {
		return ref, nil
	}
	full := &resolved{Ref: ref}
	g, err := Wait{Target: full, For: wait}.Open(ctx)
	if err == nil {
		err = g.Close()
	}
	if full.Kind != "" && errors.Is(err, fs.ErrNotExist) && wait <= 0 {
		err = nil // known, and does not run
	}
	if err != nil {
		return ns.Ref{}, err
	}
	return full.Ref, nil
}

// A resolved guest learns its kind when it is opened.
type resolved struct{ ns.Ref }

// Open opens the guest.
func (r *resolved) Open(ctx context.Context) (*ns.Guest, error) {
	if r.Kind != "" {
		return Target(r.Ref).Open(ctx)
	}
	g, full, err := resolve(ctx, Name{Name: r.Name}, places[:])
	if full.Kind != "" {
		r.Ref = full
	}
	return g, err
}
