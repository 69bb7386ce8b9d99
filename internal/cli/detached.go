package cli

import (
	"fmt"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// Detached tells what [keep.Plugger.Detach] did, or would do.
func (o *Options) Detached(r *keep.Record) string {
	if o.DryRun {
		return dryRun + detached(r, "would be detached", "would be back")
	}
	return detached(r, "detached", "back")
}

func detached(r *keep.Record, done, back string) string {
	at := r.Attachment
	if at == nil {
		return Line(fmt.Sprintf("%s: %s was not plugged in any more, and is forgotten", r.Guest, r.Interface))
	}
	return Line(fmt.Sprintf("%s: %s %s from %s", at.Guest.Name, at.Name, done, at.Link) + list(", "+back+": ", at.Displaced))
}

// DetachedAll tells what [keep.Plugger.DetachGuest] did, a line each, and what was plugged in.
func (o *Options) DetachedAll(guest ns.Ref, gone []*keep.Record) (attachments []*pipework.Attachment, text string) {
	attachments = []*pipework.Attachment{}
	var lines strings.Builder
	for _, r := range gone {
		fmt.Fprintln(&lines, o.Detached(r))
		if r.Attachment != nil {
			attachments = append(attachments, r.Attachment)
		}
	}
	if len(gone) == 0 {
		fmt.Fprintln(&lines, Line(guest.String()+": nothing to detach"))
	}
	return attachments, lines.String()
}
