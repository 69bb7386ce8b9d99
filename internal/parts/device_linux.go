package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// A Device is the interface itself, which the backend made or moved in: its mark, state,
// MAC and MTU.
type Device struct {
	Link link.Backend     // nil: not known, then only what is in the guest is compared
	MAC  net.HardwareAddr // nil: as it is
	MTU  int              // bytes; 0: as it is
}

var _ Part = Device{}

// Apply marks the interface and brings it up, in one message; see [Part]. One that was
// not made, but moved in, stays in the group that it is in.
func (d Device) Apply(ctx context.Context, s *Site) (err error) {
	set := rtnl.Finish
	if s.Port.Mark.IsNIC() {
		set = rtnl.SetLink
	}
	if err := set(ctx, s.Port.Conn, s.Port.Name, s.Port.Mark.String()); err != nil {
		return err
	}
	if s.Link, err = made(ctx, s.Port); err != nil {
		return err
	}
	s.Port.Index, s.Port.MAC = s.Link.Index, s.Link.MAC
	return nil
}

// made is the guest's interface. Where its MAC and MTU are known, only its index is
// asked for.
func made(ctx context.Context, p *link.Port) (*rtnl.Link, error) {
	if !p.Made {
		return rtnl.LinkByName(ctx, p.Conn, p.Name)
	}
	index, err := p.Conn.Index(ctx, p.Name)
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", p.Name, err)
	}
	return &rtnl.Link{Index: index, Name: p.Name, MAC: p.MAC, MTU: p.MTU}, nil
}

// Asks is the MAC and the MTU; see [Part].
func (d Device) Asks(context.Context, *Site) (lines []string, _ error) {
	if d.MAC != nil {
		lines = append(lines, "MAC "+d.MAC.String())
	}
	if d.MTU != 0 {
		lines = append(lines, "MTU "+strconv.Itoa(d.MTU))
	}
	return lines, nil
}

// Remove has nothing to do: the backend removes the interface.
func (Device) Remove(context.Context, *Site) error { return nil }

// Compare has the backend compare its end, too; see [Part].
func (d Device) Compare(ctx context.Context, s *Site) (diff Diff, err error) {
	if d.Link != nil {
		s.Port.Exact = s.Exact
		if diff.Missing, err = d.Link.Check(ctx, s.Port); err != nil {
			return diff, err
		}
	}
	mtu, err := d.mtuDrift(ctx, s)
	if err != nil {
		return diff, err
	}
	diff.Missing = slices.Concat(diff.Missing, d.drifts(s), mtu)
	return diff, nil
}

func (d Device) drifts(s *Site) (drifts []link.Drift) {
	c, l := s.Port.Conn, s.Link
	if _, marked := link.ParseMark(l.Alias); !marked {
		drifts = append(drifts, link.Drift{What: l.Name + " has lost its mark", Mend: func(ctx context.Context, _ *link.Undo) error {
			if l.Unfinished() {
				return rtnl.Finish(ctx, c, l.Name, s.Port.Mark.String())
			}
			return rtnl.SetAlias(ctx, c, l.Index, s.Port.Mark.String())
		}})
	}
	if is, should := l.Name, s.Port.Mark.Interface; is != should { // renamed in the guest, and found by its mark
		drifts = append(drifts, link.Drift{What: "is called " + is + " instead of " + should})
	}
	if !l.Up {
		drifts = append(drifts, link.Drift{What: l.Name + " is down", Mend: func(ctx context.Context, u *link.Undo) error {
			u.Push("up "+l.Name, func(ctx context.Context) error { return rtnl.SetDown(ctx, c, l.Index) })
			return rtnl.SetLink(ctx, c, l.Name, "")
		}})
	}
	if want := d.MAC; want != nil && want.String() != l.MAC.String() {
		drifts = append(drifts, link.Drift{Chosen: true, What: fmt.Sprintf("MAC is %s instead of %s", l.MAC, want), Mend: func(ctx context.Context, u *link.Undo) error {
			u.Push("MAC of "+l.Name, func(ctx context.Context) error { return rtnl.SetMAC(ctx, c, l.Index, l.MAC) })
			return rtnl.SetMAC(ctx, c, l.Index, want)
		}})
	}
	return drifts
}

// mtuDrift compares the MTU of both ends of a pair: a call that was killed may have set
// that of one alone.
func (d Device) mtuDrift(ctx context.Context, s *Site) ([]link.Drift, error) {
	if d.MTU == 0 {
		return nil, nil
	}
	mend := func(ctx context.Context, u *link.Undo) error { return setMTU(ctx, s.Port, u, s.Link.Index, d.MTU) }
	if is := s.Link.MTU; is != d.MTU {
		return []link.Drift{{Chosen: true, What: fmt.Sprintf("MTU is %d instead of %d", is, d.MTU), Mend: mend}}, nil
	}
	if s.Port.HostName == "" {
		return nil, nil
	}
	host, err := rtnl.LinkByName(ctx, s.Port.Host.Conn, s.Port.HostName)
	switch {
	case errors.Is(err, fs.ErrNotExist): // which the backend tells
		return nil, nil
	case err != nil:
		return nil, err
	case host.MTU != hostMTU(host, d.MTU):
		return []link.Drift{{What: fmt.Sprintf("MTU of %s is %d instead of %d", host.Name, host.MTU, d.MTU), Mend: mend}}, nil
	}
	return nil, nil
}

// hostMTU is what the host's end is to have where the guest's has this one. In a Linux bridge it
// may have more, and keeps that: a bridge has the least MTU of its ports.
func hostMTU(host *rtnl.Link, mtu int) int {
	if host.PortState >= 0 {
		return max(mtu, host.MTU)
	}
	return mtu
}

// setMTU sets the MTU of the guest's end, and what the host's end needs for that.
func setMTU(ctx context.Context, p *link.Port, u *link.Undo, index, mtu int) error {
	if p.HostName != "" {
		host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
		if err != nil {
			return err
		}
		if err := changeMTU(ctx, end{p.Host.Conn, host}, u, hostMTU(host, mtu)); err != nil {
			return err
		}
	}
	l, err := rtnl.LinkByIndex(ctx, p.Conn, index)
	if err != nil {
		return err
	}
	return changeMTU(ctx, end{p.Conn, l}, u, mtu)
}

func changeMTU(ctx context.Context, e end, u *link.Undo, mtu int) error {
	if e.link.MTU == mtu {
		return nil
	}
	u.Push("MTU of "+e.link.Name, func(ctx context.Context) error { return rtnl.SetMTU(ctx, e.conn, e.link.Index, e.link.MTU) })
	return rtnl.SetMTU(ctx, e.conn, e.link.Index, mtu)
}
