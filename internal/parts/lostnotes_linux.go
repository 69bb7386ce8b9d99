package parts

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Notes that the guest's root has deleted; see learned_linux.go for what they are.

// withoutNotes tells of interfaces that have lost their notes.
func (s learning) withoutNotes(ctx context.Context) ([]link.Drift, error) {
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return nil, err
	}
	notes, err := rtnl.Notes(ctx, s.Port.Conn, notesTable())
	if err != nil {
		return nil, err
	}
	lost, err := s.lostNotes(ctx, links, notes)
	if err != nil || len(lost) == 0 {
		return nil, err
	}
	first := slices.IndexFunc(links, func(l *rtnl.Link) bool { return l.Index == int(lost[0].Metric) })
	text := "no default routes are learned on " + links[first].Name
	if more := len(lost) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return []link.Drift{{What: text + ", and nothing notes that they are to be once the gateway is gone", Mend: func(ctx context.Context, _ *link.Undo) error {
		return s.addNotes(ctx, lost)
	}}}, nil
}

// lostNotes are notes of those links on which the kernel learns no default routes, and that
// have none among these. In a guest where new interfaces learn none that is the guest's own
// choice.
func (s learning) lostNotes(ctx context.Context, links []*rtnl.Link, notes []rtnl.Route) (lost []rtnl.Route, err error) {
	bare := unnoted(links, notes)
	if len(bare) == 0 {
		return nil, nil
	}
	value, err := s.sysctlOf(ctx, "default", "ipv6", "accept_ra_defrtr")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n == 0 {
		return nil, err
	}
	for _, l := range bare {
		lost = append(lost, note(l.Index, uint32(int32(n))))
	}
	return limited(s.Port, lost, maxNotes, "interfaces that learn no default routes"), nil
}

// unnoted are the links that learn no default routes, and have no note among these.
func unnoted(links []*rtnl.Link, notes []rtnl.Route) []*rtnl.Link {
	noted := map[int]bool{}
	for _, n := range notes {
		noted[int(n.Metric)] = true
	}
	return slices.DeleteFunc(routed(links), func(l *rtnl.Link) bool { return !l.UnlearnsDefaults() || noted[l.Index] })
}

// noteUnlearned notes of interfaces that have no note, and on which the kernel learns no default
// routes, what it is to do once there is no gateway: the same, where there was none before.
func (s learning) noteUnlearned(ctx context.Context, links []*rtnl.Link, notes []rtnl.Route) error {
	bare := unnoted(links, notes)
	if len(bare) == 0 {
		return nil
	}
	gw, err := learningOf(s.Site).otherGateway(ctx)
	if err != nil {
		return err
	}
	if gw != nil {
		lost, err := s.lostNotes(ctx, links, notes)
		if err != nil {
			return err
		}
		return s.addNotes(ctx, lost)
	}
	var same []rtnl.Route
	for _, l := range limited(s.Port, bare, maxNotes, "interfaces that learn no default routes") {
		same = append(same, note(l.Index, 0))
	}
	return s.addNotes(ctx, same)
}

func (s learning) addNotes(ctx context.Context, notes []rtnl.Route) error {
	for _, n := range notes {
		if err := s.append(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// hadIPv6Gateway says whether the interface has an IPv6 gateway: one of these, or one that
// pipework's route tells.
func (s learning) hadIPv6Gateway(ctx context.Context, via []netip.Addr) (bool, error) {
	if slices.ContainsFunc(via, netip.Addr.Is6) {
		return true, nil
	}
	all, err := rtnl.Defaults(ctx, s.Port.Conn, unix.AF_INET6, 0)
	return slices.ContainsFunc(all, func(r rtnl.Route) bool {
		return r.Index == s.index() && r.Index != 0 && r.Protocol() == rtnl.Protocol && (r.Table == unix.RT_TABLE_MAIN || isKept(r))
	}), err
}
