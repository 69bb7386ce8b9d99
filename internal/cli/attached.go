package cli

import (
	"cmp"
	"context"
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

// ShowDetachedOne prints what [keep.Plugger.Detach] did, or would do: of nothing r is nil.
func (o *Options) ShowDetachedOne(ctx context.Context, guest ns.Ref, name string, r *keep.Record) error {
	if r == nil {
		return o.Show(nil, fmt.Sprintf("%s has no %s: nothing to detach", guest, name))
	}
	if ctx.Err() != nil {
		fmt.Fprintln(o.Err, "pipework: interrupted when it had begun: it is finished")
	}
	return o.Show(r.Attachment, o.Detached(r))
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

// ShowAttached prints what was attached. Its lease, if any, is kept where kept says so;
// otherwise keeper names what would keep it.
func (p Printer) ShowAttached(at *pipework.Attachment, kept bool, keeper string) error {
	text := at.String()
	if (at.Lease != nil || at.Lease6 != nil) && !at.Existed && !kept {
		text += ": " + keeper + " does"
	}
	return p.Show(at, text)
}
