package keep

import (
	"context"
	"fmt"

	"github.com/go-pipework/pipework/internal/errs"
)

// forgotten is nil for a record that could not be removed, or put back, because nothing can be
// written there: taking away does not depend on that, and the log is warned. What is attached
// is what has to be gone.
func forgotten(ctx context.Context, p *Plugger, err error) error {
	if !errs.IsUnwritable(err) {
		return err
	}
	if p.Log != nil {
		p.Log.WarnContext(ctx, fmt.Sprintf("the record stays, by which pipework watch plugs in again: %v: make it writable, and detach or pipework gc again", err))
	}
	return nil
}
