package cli

import (
	"cmp"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// Detached tells what [keep.Plugger.Detach] did, or would do.
func (o *Options) Detached(r *keep.Record) string {
	begin, would := "", ""
	if o.DryRun {
		begin, would = dryRun, "would be "
	}
	at := r.Attachment
	if at == nil {
		return fmt.Sprintf("%s%s: %s was not plugged in any more, and %sforgotten", begin, r.Guest, r.Interface, cmp.Or(would, "is "))
	}
	return fmt.Sprintf("%s%s: %s %sdetached from %s%s", begin, at.Guest.Name, at.Name, would, at.Link, told.List(", "+would+"back: ", at.Displaced))
}

// ShowDetached prints what [keep.Plugger.DetachGuest] did, or would do.
func (o *Options) ShowDetached(guest ns.Ref, gone []*keep.Record) error {
	attachments := []*pipework.Attachment{}
	for _, r := range gone {
		if r.Attachment != nil {
			attachments = append(attachments, r.Attachment)
		}
	}
	return o.Show(attachments, lines(gone, guest.String()+": nothing to detach", o.Detached)...)
}
