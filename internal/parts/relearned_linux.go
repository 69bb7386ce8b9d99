package parts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// How the kernel learns default routes again; that it was told not to is in learned_linux.go.

// maxNotes bounds how many notes one call works on: the guest can write any number.
const maxNotes = 1024

// byKernel are the saved routes that the kernel learned, and those that it did not.
func byKernel(saved []rtnl.Route) (learned, others []rtnl.Route) {
	for _, r := range saved {
		if r.IsKeptLearned() {
			learned = append(learned, r)
		} else {
			others = append(others, r)
		}
	}
	return learned, others
}

// relearn has the kernel learn default routes again where it did, and asks the routers. While
// another interface has a gateway that waits. The learned ones are saved routes, by which
// earlier versions knew alone where that was. Where it fails it is said, and the next call
// tries again: no reason for the interface to stay.
func (s learning) relearn(ctx context.Context, learned []rtnl.Route) error {
	notes, err := s.allNotes(ctx, learned)
	if err != nil || len(notes) == 0 && !s.unlearned {
		return err
	}
	if gw, err := s.otherGateway(ctx); gw != nil || err != nil {
		return err
	}
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return err
	}
	if s.unlearned {
		lost, err := s.lostNotes(ctx, links, notes)
		if err != nil {
			return err
		}
		notes = append(notes, lost...)
	}
	noted, rest := byLink(notes, links)
	for _, n := range limited(s.Port, noted, maxNotes, "interfaces that are to learn default routes again") {
		if err := s.relearnNoted(ctx, n, learned); err != nil {
			return err
		}
	}
	for _, n := range limited(s.Port, rest, maxNotes, "notes of no interface") {
		if err := n.Delete(ctx, s.Port.Conn); err != nil { // no undo: they say nothing
			return err
		}
	}
	return nil
}

// A notedLink is an interface with its note.
type notedLink struct {
	*rtnl.Link
	note rtnl.Route
}

// byLink are the links that have notes, each with the last of its notes, and the notes that
// are left.
func byLink(notes []rtnl.Route, links []*rtnl.Link) (noted []notedLink, rest []rtnl.Route) {
	last := map[int]rtnl.Route{}
	for _, n := range notes {
		if before, ok := last[int(n.Metric)]; ok {
			rest = append(rest, before)
		}
		last[int(n.Metric)] = n
	}
	for _, l := range links {
		if n, ok := last[l.Index]; ok {
			noted = append(noted, notedLink{l, n})
			delete(last, l.Index)
		}
	}
	return noted, slices.AppendSeq(rest, maps.Values(last))
}

// limited are the first of these, which the guest can make any number of. It warns of the
// others, which stay.
func limited[T any](p *link.Port, list []T, limit int, what string) []T {
	if len(list) <= limit {
		return list
	}
	p.Warn("the guest has %d %s: only %d are dealt with", len(list), what, limit)
	return list[:limit]
}

// relearnNoted is relearn for one interface. Its note goes, unless that fails.
func (s learning) relearnNoted(ctx context.Context, n notedLink, learned []rtnl.Route) error {
	learns, err := s.relearnOn(ctx, n)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil {
		s.Port.Warn("no default route is learned on %s: %v", n.Name, err)
		return nil
	}
	if learns {
		s.relearned(learned, n.Link)
	}
	return s.deleteAll(ctx, []rtnl.Route{n.note})
}

// relearned notes the routes among these that come back through the interface.
func (s learning) relearned(learned []rtnl.Route, l *rtnl.Link) {
	for _, r := range learned {
		if r.Index == l.Index {
			s.Restored = append(s.Restored, r.Original().String()+" (once it is advertised)")
		}
	}
}

// allNotes are the notes, after those that these routes lack are added.
func (s learning) allNotes(ctx context.Context, learned []rtnl.Route) ([]rtnl.Route, error) {
	notes, err := rtnl.Notes(ctx, s.Port.Conn, notesTable())
	if err != nil {
		return nil, err
	}
	noted := map[int]bool{}
	for _, n := range notes {
		noted[int(n.Metric)] = true
	}
	for _, r := range learned {
		if noted[r.Index] {
			continue
		}
		n := note(r.Index, 1)
		if err := s.append(ctx, n); err != nil {
			return nil, err
		}
		noted[r.Index], notes = true, append(notes, n)
	}
	return notes, nil
}

// otherGateway is the IPv6 gateway of another interface, also of one beneath; nil: none has
// one.
func (s learning) otherGateway(ctx context.Context) (*rtnl.Route, error) {
	all, err := rtnl.Defaults(ctx, s.Port.Conn, unix.AF_INET6, 0)
	i := slices.IndexFunc(all, func(r rtnl.Route) bool {
		byGateway := r.Protocol() == rtnl.Protocol && r.SameKey(rtnl.Route{Family: r.Family, Dst: r.Dst})
		return byGateway && r.Index != 0 && r.Index != s.index() && (r.Table == unix.RT_TABLE_MAIN || isKept(r))
	})
	if i < 0 || err != nil {
		return nil, err
	}
	return &all[i], nil
}

// surplusNotes tells of notes that no gateway needs any more.
func (s learning) surplusNotes(ctx context.Context) ([]link.Drift, error) {
	notes, err := rtnl.Notes(ctx, s.Port.Conn, notesTable())
	if err != nil || len(notes) == 0 {
		return nil, err
	}
	if gw, err := s.otherGateway(ctx); gw != nil || err != nil {
		return nil, err
	}
	return []link.Drift{{What: "no default routes are learned from routers", Mend: func(ctx context.Context, _ *link.Undo) error {
		return s.relearn(ctx, nil)
	}}}, nil
}

// relearnOn has the kernel learn default routes on the interface again, and asks the routers.
// A setting that is another by now is left so. It tells whether the kernel learns there now.
func (s learning) relearnOn(ctx context.Context, n notedLink) (learns bool, err error) {
	if n.note.NoteValue() == 0 {
		return false, nil
	}
	now, err := s.sysctlOf(ctx, n.Name, "ipv6", "accept_ra_defrtr")
	if err == nil && now == "0" {
		was := strconv.Itoa(int(int32(n.note.NoteValue())))
		err = s.setSysctlOf(ctx, n.Name, "ipv6", "accept_ra_defrtr", was)
	}
	if err != nil || !n.HearsRouters() {
		return false, unless(err, errors.ErrUnsupported) // it is gone, or IPv6 on it
	}
	ask := link.Port{Guest: s.Port.Guest, Conn: s.Port.Conn, Name: n.Name, Index: n.Index, MAC: n.MAC}
	if err := announce.SolicitRouters(ctx, &ask); err != nil {
		s.Log(ctx, "solicit routers", "interface", n.Name, "error", err)
	}
	return true, nil
}
