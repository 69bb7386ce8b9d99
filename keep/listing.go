package keep

import (
	"bytes"
	"context"
	"errors"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
)

// Listing is [pipework.List], where what is recorded is compared with its record: Drifts and
// Warnings are as Status tells them. Of the rest they are what the marks tell, which have
// neither addresses nor routes. Damaged records are set aside, as Status does, and told in the
// error, beside what was found.
func (p *Plugger) Listing(ctx context.Context, targets ...pipework.Target) ([]*pipework.Attachment, error) {
	all, err := p.observer().List(ctx, targets...)
	if p.Store == nil {
		return all, err
	}
	records, damaged, wrong := p.Store.All()
	for _, at := range all {
		for i := range records {
			if records[i].isOf(at) {
				p.tellDrifts(ctx, &records[i], at)
			}
		}
	}
	return all, errors.Join(append(damaged, err, wrong)...)
}

// isOf says whether the record may be of the interface.
func (r *Record) isOf(at *pipework.Attachment) bool {
	was := r.Attachment
	return was != nil && was.Guest.Name == at.Guest.Name && was.Index == at.Index && was.Link == at.Link
}

// tellDrifts compares the interface with its record. No runtime is asked where a process
// tells the guest.
func (p *Plugger) tellDrifts(ctx context.Context, r *Record, at *pipework.Attachment) {
	t := p.Target(r.Guest)
	if at.Guest.PID > 0 {
		t = ns.PID(at.Guest.PID)
	}
	quiet := *p
	quiet.Probe = 0
	now, err := quiet.inspect(ctx, t, r)
	if now == nil || now.Index != at.Index || !bytes.Equal(now.MAC, at.MAC) {
		return // it has gone meanwhile
	}
	at.Drifts, at.Warnings = statusOf(r, now, err).Details, now.Warnings
}
