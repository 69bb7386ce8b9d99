package keep

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
)

// Listing is [pipework.List], where what is recorded is compared with its record: Drifts and
// Warnings are as Status tells them. Of the rest they are what the marks tell, which have
// neither addresses nor routes. It changes nothing: damaged records, and those of links that the
// Store was not opened for, stay where they are. The warnings tell of them, where targets are
// given only of those that may be of a guest that was found.
func (p *Plugger) Listing(ctx context.Context, targets ...pipework.Target) (all []*pipework.Attachment, warnings []string, err error) {
	all, err = p.observer().List(ctx, targets...)
	if p.Store == nil {
		return all, nil, err
	}
	records, wrong := p.Store.scan(func(file string, why error) {
		if len(targets) == 0 || slices.ContainsFunc(all, func(at *pipework.Attachment) bool { return mayBeOf(file, at.Guest.Name) }) {
			warnings = append(warnings, why.Error())
		}
	})
	for _, at := range all {
		for i := range records {
			if records[i].isOf(at) {
				p.tellDrifts(ctx, &records[i], at)
			}
		}
	}
	return all, warnings, errors.Join(err, wrong)
}

// mayBeOf says whether a record's file may be of the guest that is called so. Its name begins with
// the guest's kind, which the guest's name may lack.
func mayBeOf(file, guest string) bool {
	word, _, _ := strings.Cut(file, ".")
	called := strings.Map(safe, guest)
	return word == called || strings.HasSuffix(word, "_"+called)
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
