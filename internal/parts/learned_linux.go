package parts

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// Default routes that the kernel learns from router advertisements are left to it. While a
// gateway is in their place it is told to learn none on any interface (accept_ra_defrtr):
// with a higher preference they would come first, also those of a router that is heard
// later. Afterwards it learns again. What is in the table of displaced routes only says
// what was there: such a route is marked, does not expire there, and is never put back. One
// that does not expire is a program's of the guest's, as is one where the kernel learns none.
//
// Where the kernel is to learn again is in notes, one for each interface, in a table of all
// gateways of the guest: unlike the copies of displaced routes they stay while interfaces
// go down and up. The value of a note is what the setting was. It is 0 where the guest has
// said so itself: an interface without a note has lost it.

// learners are the interfaces on which the kernel learned default routes until a gateway came,
// by their indexes, each with why it could not be told to learn none; mostly nil.
type learners map[int]error

// notesTable has a number that no interface has as its index.
func notesTable() uint32 { return savedTable(0) }

// learning is a stack, and what the kernel learns of routers.
type learning struct{ stack }

func learningOf(s *Site) learning { return learning{s.stack()} }

// unlearn has the kernel learn no default routes of the family on any interface of the
// guest, and tells where it did.
func (s learning) unlearn(ctx context.Context, family int) (learners, error) {
	if family != unix.AF_INET6 {
		return nil, nil
	}
	on := learners{}
	notes, err := rtnl.Notes(ctx, s.Port.Conn, notesTable())
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		if n.NoteValue() != 0 {
			on[int(n.Metric)] = nil
		}
	}
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return nil, err
	}
	if err := s.noteUnlearned(ctx, links, notes); err != nil {
		return nil, err
	}
	for _, l := range learningLinks(links) {
		refused, err := s.unlearnOn(ctx, l)
		if err != nil {
			return nil, err
		}
		on[l.Index] = refused
	}
	return on, nil
}

// learningLinks are those on which the kernel learns default routes that count for the guest:
// those in a VRF are in another table.
func learningLinks(links []*rtnl.Link) []*rtnl.Link {
	return slices.DeleteFunc(routed(links), func(l *rtnl.Link) bool { return !l.LearnsDefaults() })
}

// routed are the links whose advertised default routes count for the guest.
func routed(links []*rtnl.Link) []*rtnl.Link {
	vrf := map[int]bool{}
	for _, l := range links {
		vrf[l.Index] = l.Kind == "vrf"
	}
	return slices.DeleteFunc(slices.Clone(links), func(l *rtnl.Link) bool {
		return l.Type == unix.ARPHRD_LOOPBACK || vrf[l.Master]
	})
}

// unlearnOn is unlearn for one interface. The note comes first: where a killed call left one
// too many, nothing is to be set back.
func (s learning) unlearnOn(ctx context.Context, l *rtnl.Link) (refused, err error) {
	if err := s.append(ctx, note(l.Index, l.AcceptRADefrtr())); err != nil {
		return nil, err
	}
	err = s.setSysctlOf(ctx, l.Name, "ipv6", "accept_ra_defrtr", "0")
	if errors.Is(err, fs.ErrPermission) {
		return err, nil
	}
	return nil, unless(err, errors.ErrUnsupported) // it is gone, or has no IPv6 by now
}

// note says that the kernel learned default routes on the interface with this index, where
// accept_ra_defrtr was this value.
func note(index int, value uint32) rtnl.Route {
	return rtnl.Note(notesTable(), uint32(index), value)
}

// isLearned says whether the kernel learned the route, and not a program.
func isLearned(r rtnl.Route, on learners) bool {
	_, learner := on[r.Index]
	return learner && r.Protocol() == unix.RTPROT_RA && r.Expires() // the kernel learns none with several next hops
}

// warnOfRefused warns of a learned route that the kernel may learn again.
func (s learning) warnOfRefused(r rtnl.Route, on learners) {
	if refused := on[r.Index]; refused != nil && isLearned(r, on) {
		s.Port.Warn("the default route that a router advertises, %s, may come back: %v", r, refused)
	}
}

// unless is err, or nil where it is one of this class.
func unless(err, class error) error {
	if errors.Is(err, class) {
		return nil
	}
	return err
}
