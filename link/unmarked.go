package link

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
)

// Unmarked is the Link in the Mark of an interface that a call made and could not
// mark any more, because it was killed. [FromMark] makes of it a Backend that
// removes it.
const Unmarked = "unmarked"

// unmarked can only be removed.
type unmarked struct{}

var _ Backend = unmarked{}

func (unmarked) String() string { return Unmarked }

func (unmarked) Plug(context.Context, *Port, *Undo) error {
	return errs.New(errors.ErrUnsupported, "%s is nothing to plug into", Unmarked)
}

func (unmarked) Check(context.Context, *Port) ([]Drift, error) {
	return []Drift{{What: "was left half-made by a call that was killed", Mend: func(context.Context, *Undo) error {
		return errs.New(fs.ErrInvalid, "what was left half-made cannot be mended: detach it")
	}}}, nil
}
