package parts

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// Advertisements lets the kernel follow router advertisements on the interface: IPv6 on,
// accept_ra, and autoconf for SLAAC. These settings are the interface's alone, and go
// away with it when it leaves the guest.
type Advertisements struct {
	// Wanted says that the Spec needs them. An interface that does not is left as the
	// guest has it.
	Wanted bool
	SLAAC  bool // addresses, too
	// OwnGateway says that the Spec has an IPv6 gateway, which comes before an
	// advertised one.
	OwnGateway bool
}

var (
	_ Part      = Advertisements{}
	_ Refresher = Advertisements{}
)

// Apply is made before the interface is up, and the first advertisement can come; see
// [Part].
func (a Advertisements) Apply(ctx context.Context, s *Site) error {
	if !a.Wanted {
		return nil
	}
	yields, err := a.yields(ctx, s)
	if err != nil {
		return err
	}
	return a.set(ctx, s, yields)
}

// yields says whether a gateway comes before what routers advertise, so that the kernel is to
// learn no default routes on the interface. A note says that the kernel learns them once there is
// no gateway.
func (a Advertisements) yields(ctx context.Context, s *Site) (bool, error) {
	if !a.OwnGateway {
		if gw, err := learningOf(s).otherGateway(ctx); gw == nil || err != nil {
			return false, err
		}
	}
	index, err := s.Port.Conn.Index(ctx, s.Port.Name) // there is no s.Link before it is up
	if err != nil {
		return false, err
	}
	return true, s.stack().append(ctx, note(index, 1))
}

func (a Advertisements) set(ctx context.Context, s *Site, yields bool) error {
	forwarding, err := s.sysctl(ctx, "ipv6", "forwarding")
	if err != nil {
		return err
	}
	accept := "1"
	if forwarding != "0" {
		accept = "2" // a router follows none, unless told so
	}
	route := "1"
	if yields {
		route = "0"
	}
	settings := [][2]string{{"disable_ipv6", "0"}, {"accept_ra", accept}, {"accept_ra_defrtr", route}}
	if a.SLAAC {
		settings = append(settings, [2]string{"autoconf", "1"})
	}
	for _, set := range settings {
		if err := s.setSysctl(ctx, "ipv6", set[0], set[1]); err != nil {
			return err
		}
	}
	return nil
}

// Compare leaves the settings to Refresh.
func (Advertisements) Compare(context.Context, *Site) (Diff, error) { return Diff{}, nil }

// Refresh sets again what is not set any more. An advertised default route from before there
// was a gateway goes.
func (a Advertisements) Refresh(ctx context.Context, s *Site) error {
	if !a.Wanted {
		return nil
	}
	yields, err := a.yields(ctx, s)
	if err != nil {
		return err
	}
	if err := a.set(ctx, s, yields); err != nil || !yields {
		return err
	}
	now, err := rtnl.Defaults(ctx, s.Port.Conn, unix.AF_INET6, unix.RT_TABLE_MAIN)
	if err != nil {
		return err
	}
	return s.deleteAll(ctx, s.stack().advertised(now))
}

// Asks is what routers advertise; see [Part].
func (a Advertisements) Asks(context.Context, *Site) (lines []string, _ error) {
	if a.SLAAC {
		lines = append(lines, "addresses that a router advertises")
	}
	return lines, nil
}

// Remove takes away the interface's note; the settings go with the interface.
func (a Advertisements) Remove(ctx context.Context, s *Site) error {
	if !a.Wanted || s.Link == nil {
		return nil
	}
	notes, err := rtnl.Notes(ctx, s.Port.Conn, notesTable())
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(notes, func(n rtnl.Route) bool { return int(n.Metric) != s.Link.Index })
	return s.deleteAll(ctx, limited(s.Port, own, maxNotes, "notes of "+s.Link.Name))
}
