package keep

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Listing is [pipework.List], where what is recorded is compared with its record: Drifts and
// Warnings are as Status tells them. Of the rest they are what the marks tell, which have
// neither addresses nor routes. Without targets what was left unfinished is told, too, as
// something that has no index. It changes nothing: damaged records, and those of links that the
// Store was not opened for, stay where they are. The warnings tell of them, where targets are
// given only of those that may be of a guest that was found.
func (p *Plugger) Listing(ctx context.Context, targets ...pipework.Target) (all []*pipework.Attachment, warnings []string, err error) {
	all, err = p.observer().List(ctx, targets...)
	var records []Record
	if p.Store != nil {
		var wrong error
		records, wrong = p.Store.scan(func(file string, why error) {
			if len(targets) == 0 || slices.ContainsFunc(all, func(at *pipework.Attachment) bool { return mayBeOf(file, at.Guest.Name) }) {
				warnings = append(warnings, why.Error())
			}
		})
		err = errs.Join(err, wrong)
	}
	for _, at := range all {
		if p.tellFormer(ctx, records, at) {
			continue
		}
		for i := range records {
			if records[i].isOf(at) {
				p.tellDrifts(ctx, &records[i], at)
				at.Pinned, at.Isolated = records[i].Spec.Pin, link.IsIsolated(records[i].Spec.Link)
			}
		}
	}
	if len(targets) == 0 {
		all = append(all, halfMade(records, all)...)
	}
	return all, warnings, err
}

// halfMade are the interfaces that a call is at work on, or was killed over, as far as they are
// not there to be listed.
func halfMade(records []Record, listed []*pipework.Attachment) (all []*pipework.Attachment) {
	for _, r := range records {
		isListed := func(at *pipework.Attachment) bool {
			return at.Name == r.Interface && (at.Guest.Name == r.Guest.Name || at.Guest.Name == r.Guest.String())
		}
		if r.Phase == Attached || slices.ContainsFunc(listed, isListed) {
			continue
		}
		at := &pipework.Attachment{Guest: ns.Identity{Name: r.Guest.String(), ID: r.Guest.ID}, Name: r.Interface, Addrs: []netip.Prefix{}, Drifts: []string{string(Unfinished)}}
		if r.Spec.Link != nil {
			at.Link = r.Spec.Link.String()
		}
		all = append(all, at)
	}
	return all
}

// mayBeOf says whether a record's file may be of the guest that is called so. Its name begins with
// the guest's kind, which the guest's name may lack.
func mayBeOf(file, guest string) bool {
	word, _, _ := strings.Cut(file, ".")
	called := strings.Map(safe, guest)
	return word == called || strings.HasSuffix(word, "_"+called)
}

// tellFormer tells of an interface that is in a network namespace which its guest has no more,
// and says whether it is. The guest is that of a record, or the namespace's name tells.
func (p *Plugger) tellFormer(ctx context.Context, records []Record, at *pipework.Attachment) bool {
	guest := ns.ParseRef(at.Guest.Name)
	i := slices.IndexFunc(records, func(r Record) bool { return r.Attachment != nil && r.Attachment.Guest.Name == at.Guest.Name })
	if i >= 0 {
		guest = records[i].Guest
	}
	if at.Namespace == nil || i < 0 && guest.Kind != ns.Netns || i >= 0 && records[i].ranIn(at.Namespace) {
		return false
	}
	now := p.guests().observe(ctx, guest)
	if !now.runs() || now.inode == at.Namespace.Inode {
		return false
	}
	what := "it is in a network namespace that the guest has no more, and that something else keeps"
	if slices.ContainsFunc(records, func(r Record) bool {
		return r.isOf(at) && r.Namespace != nil && r.Namespace.Inode == at.Namespace.Inode
	}) {
		what += ": pipework gc"
	}
	at.Drifts = append([]string{what}, at.Drifts...)
	return true
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
