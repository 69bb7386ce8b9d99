package cli

import (
	"errors"

	"github.com/go-pipework/pipework/keep"
)

// ShowStatus prints the Statuses, unless they are nil, and says how many are not OK.
func (p Printer) ShowStatus(found []keep.Status) error {
	if found == nil {
		return nil
	}
	wrong := failed(found, func(f keep.Status) bool { return !f.OK() }, "%d of %d attachments are not as declared")
	return errors.Join(wrong, p.Show(found, lines(found, "nothing is declared", keep.Status.String)...))
}
