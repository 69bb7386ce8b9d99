package find

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// An attached guest is one that a CNI runtime or Docker named, with the file of its namespace as its ID.
type attached struct{ ns.Ref }

// Open opens the file.
func (a attached) Open(ctx context.Context) (*ns.Guest, error) {
	if a.ID == "" {
		return nil, errs.New(fs.ErrNotExist, "%s: which network namespace that is, only its record knows, and there is none", a)
	}
	g, err := ns.Path(a.ID).Open(ctx)
	if errors.Is(err, fs.ErrInvalid) { // what the namespace was mounted on stays when that is gone
		err = errs.New(fs.ErrNotExist, "%s is no network namespace any more", a.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a, err)
	}
	g.Identity = ns.Identity{Name: a.String(), ID: a.ID}
	return g, nil
}
