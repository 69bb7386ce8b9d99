package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-pipework/pipework/keep"
)

// Report is the Statuses, one on a line.
func Report(found []keep.Status) string {
	if len(found) == 0 {
		return "nothing is declared\n"
	}
	var b strings.Builder
	for _, f := range found {
		line := fmt.Sprintf("%s: %s %s", f.Guest, f.Interface, f.State)
		if len(f.Details) > 0 {
			line += ": " + strings.Join(f.Details, "; ")
		}
		if f.Attachment != nil && len(f.Attachment.Warnings) > 0 {
			line += "; warning: " + strings.Join(f.Attachment.Warnings, "; ")
		}
		fmt.Fprintln(&b, Line(line))
	}
	return b.String()
}

// ShowStatus prints the Statuses, unless they are nil, and says how many are not OK.
func (p Printer) ShowStatus(found []keep.Status) error {
	if found == nil {
		return nil
	}
	return errors.Join(verdict(found), p.Show(found, "%s", Report(found)))
}

// verdict is nil where every Status is OK, and else says how many are not.
func verdict(found []keep.Status) error {
	wrong := 0
	for _, f := range found {
		if !f.OK() {
			wrong++
		}
	}
	if wrong == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d attachments are not as declared", wrong, len(found))
}
