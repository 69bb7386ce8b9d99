package parts

import (
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// A Part is one concern of a Spec: what it asks for.
type Part interface {
	// Apply gives a new interface what the part asks for. What does not go with the
	// interface pushes its reverse on s.Undo.
	Apply(ctx context.Context, s *Site) error

	// Compare tells what an interface that is there lacks, and changes nothing. To mend
	// a drift adds what is missing.
	Compare(ctx context.Context, s *Site) (Diff, error)

	// Asks tells what Apply would give a new interface, a line each for people, and changes
	// nothing. There is no s.Link.
	Asks(ctx context.Context, s *Site) ([]string, error)

	// Remove takes away what does not go with the interface, before that is removed.
	// s.Link is nil where somebody else has removed it: then only what it left is
	// taken away.
	Remove(ctx context.Context, s *Site) error
}

// A Refresher is a Part that depends on others: on a DHCP server, or on routers.
type Refresher interface {
	// Refresh asks them again for an interface that is there.
	Refresh(ctx context.Context, s *Site) error
}

// A Diff is how an interface differs from what a Part asks for.
type Diff struct {
	// Missing is what is asked for and is not there, or is otherwise. To mend adds it.
	Missing []link.Drift
	// Surplus is what pipework made and is not asked for. To mend removes it. It is only
	// looked for where Site.Exact is set.
	Surplus []link.Drift
}

// A Site is the interface in the guest that the parts work on, for one call.
type Site struct {
	Name string     // what the Spec calls it; a guest may call it otherwise by now
	Port *link.Port // Host, Guest and Conn are open
	Undo *link.Undo
	Log  func(ctx context.Context, stage string, args ...any)
	Link *rtnl.Link // nil until it is there
	// Exact says that the interface is to have nothing but what is asked for.
	Exact bool
	// Beneath are the names of those interfaces of pipework's that keep the default route
	// where they have it.
	Beneath []string

	// Last says that it is declared now, after all but those: then they give way.
	Last bool
	// Known are default routes that were displaced in the guest, as Saved had them after an
	// earlier call.
	Known [][]byte

	// What the interface has, as far as the parts know.
	Addrs     []netip.Prefix
	Gateways  []netip.Addr
	Displaced []string    // default routes that it took the place of
	Saved     [][]byte    // default routes of others that wait in the guest, whole: see lost_linux.go
	Restored  []string    // those of them that are there again
	Lease     *dhcp.Lease // of DHCPv4
	Lease6    *dhcp.Lease // of DHCPv6

	unlearned bool // it had an IPv6 gateway, so that the kernel learned no default routes
	lowered   int  // the MTU that the interface had before the lease lowered it; 0: it did not
}

// index is the interface's; 0 where it is gone.
func (s *Site) index() int {
	if s.Link == nil {
		return 0
	}
	return s.Link.Index
}

// onHost says whether the guest is the host itself.
func (s *Site) onHost() bool { return s.Port.Guest.Inode() == s.Port.Host.Inode() }

var families = [...]int{unix.AF_INET, unix.AF_INET6}

// Remark rewrites the mark on the interface, where it differs, and of one of the host's
// own into the host's record. The record, which counts, has a digest only while the mark
// has it, too.
func (s *Site) Remark(ctx context.Context, mark link.Mark) error {
	before := s.Port.Mark
	if mark == before {
		return nil
	}
	alias := func(ctx context.Context, m link.Mark) error {
		s.Port.Mark = m
		return rtnl.SetAlias(ctx, s.Port.Conn, s.Link.Index, m.String())
	}
	record := func(ctx context.Context, m link.Mark) error {
		m.Lease, m.Lease6 = "", "" // which the guest can write, and only the interface tells
		return link.RemarkNIC(ctx, s.Port.Guest.Handle, s.Link.Index, m)
	}
	writes := []func(context.Context, link.Mark) error{record, alias}
	switch {
	case !mark.IsNIC() || mark.Spec == before.Spec && mark.Rules == before.Rules:
		writes = writes[1:]
	case mark.Spec != "":
		slices.Reverse(writes)
	}
	for _, write := range writes {
		s.Undo.Push("mark of "+s.Link.Name, func(ctx context.Context) error { return write(ctx, before) })
		if err := write(ctx, mark); err != nil {
			return err
		}
	}
	return nil
}

// Read fills in what the kernel tells of the interface now.
func (s *Site) Read(ctx context.Context) error {
	l, err := rtnl.LinkByName(ctx, s.Port.Conn, s.Link.Name)
	if err != nil {
		return err
	}
	s.Link, s.Addrs, s.Gateways, s.Displaced, s.Saved = l, nil, nil, nil, nil
	s.Port.MAC = l.MAC
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, l.Index)
	if err != nil {
		return err
	}
	if s.Lease == nil {
		s.Lease = readLease(s.Port.Mark, addrs)
	}
	if s.Lease6 == nil {
		s.Lease6 = readLease6(s.Port.Mark, addrs)
	}
	for _, a := range addrs {
		if !a.Prefix.Addr().IsLinkLocalUnicast() {
			s.Addrs = append(s.Addrs, a.Prefix)
		}
	}
	return s.stack().readDefaults(ctx)
}
