package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Plug moves the interface into the guest; see [Backend].
func (n Phys) Plug(ctx context.Context, p *Port, u *Undo) error {
	if err := free(ctx, p); err != nil {
		return err
	}
	defer hold(ctx, p.Host.RLock)() // against those who collect what the kernel returned
	nic, err := n.find(ctx, p)
	if err != nil {
		return err
	}
	if err := n.movable(ctx, p, nic); err != nil {
		return err
	}
	was, err := n.remember(ctx, p, nic)
	if err != nil {
		return err
	}
	if p.Mark.Was, err = seal(n.String(), was.String()); err != nil {
		return err
	}
	if err := p.Mark.fits(); err != nil {
		return fmt.Errorf("remember what %s was: %w: take some of its addresses away", n.Device, err)
	}
	if err := rtnl.SetAlias(ctx, p.Host.Conn, nic.Index, p.Mark.String()); err != nil {
		return fmt.Errorf("mark %s: %w", n.Device, err)
	}
	u.Push("mark of "+n.Device, func(ctx context.Context) error { return n.unmark(ctx, p, nic.Index) })
	// Pushed before the move, for one that fails half-way: the kernel moves
	// first and renames then, and a phy is moved before its interface is renamed.
	u.Push("move of "+n.Device, func(ctx context.Context) error {
		err := n.moveOut(ctx, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err := n.moveIn(ctx, p, nic); err != nil {
		return err
	}
	return n.dress(ctx, p, was)
}

// find looks the interface up by its name, or by the mark that it bears since it
// was in a guest that died.
func (n Phys) find(ctx context.Context, p *Port) (*rtnl.Link, error) {
	nic, err := rtnl.LinkByName(ctx, p.Host.Conn, n.Device)
	if err == nil && !returned(nic) {
		return nic, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := n.recover(ctx, p); err != nil {
		return nil, err
	}
	nic, err = rtnl.LinkByName(ctx, p.Host.Conn, n.Device)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(fs.ErrNotExist, "the host has no interface %s: see ip link", n.Device)
	}
	return nic, err
}

// returned says that the kernel gave the link back after its guest had died.
func returned(l *rtnl.Link) bool {
	m, ok := ParseMark(l.Alias)
	return ok && strings.HasPrefix(m.Link, "phys:")
}

// movable refuses what the host would miss.
func (n Phys) movable(ctx context.Context, p *Port, nic *rtnl.Link) error {
	switch {
	case nic.Type == unix.ARPHRD_LOOPBACK:
		return errs.New(fs.ErrInvalid, "%s is the host's loopback: name a network interface", n.Device)
	case nic.Kind == "bridge":
		return errs.New(fs.ErrInvalid, "%s is a bridge: name a network interface", n.Device)
	case nic.Master != 0:
		return errs.New(fs.ErrInvalid, "%s is part of a bridge or bond: ip link set %s nomaster", n.Device, n.Device)
	case n.AllowDefaultRoute:
		return nil
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := rtnl.Defaults(ctx, p.Host.Conn, family, unix.RT_TABLE_MAIN)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(routes, func(r rtnl.Route) bool { return r.Index == nic.Index }) {
			return errs.New(fs.ErrPermission, "%s carries the host's default route: moving it may cut the host off (only Phys.AllowDefaultRoute permits it)", n.Device)
		}
	}
	return nil
}

// remember is what moving takes away.
func (n Phys) remember(ctx context.Context, p *Port, nic *rtnl.Link) (past, error) {
	was := past{Name: nic.Name, MAC: nic.MAC, MTU: nic.MTU, Up: nic.Up, Alias: nic.Alias}
	addrs, err := rtnl.Addrs(ctx, p.Host.Conn, nic.Index)
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_PERMANENT != 0 && !a.Prefix.Addr().IsLinkLocalUnicast() {
			was.Addrs = append(was.Addrs, a.Prefix)
		}
	}
	return was, err
}

// moveIn moves and renames the interface in one message, or its phy where it is
// wireless.
func (n Phys) moveIn(ctx context.Context, p *Port, nic *rtnl.Link) error {
	err := rtnl.Move(ctx, p.Host.Conn, nic.Index, rtnl.Place{Namespace: p.Guest.Handle, Name: p.Name})
	switch {
	case errors.Is(err, unix.EEXIST):
		_, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
		return taken(p, err)
	case immovable(err):
		return movePhy(ctx, nic, hostSide(p, nic.Name), guestSide(p))
	case err != nil:
		return fmt.Errorf("move %s into the guest: %w", n.Device, err)
	}
	return nil
}

// dress gives the interface the MAC and MTU asked for.
func (n Phys) dress(ctx context.Context, p *Port, was past) error {
	l, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if err != nil {
		return err
	}
	if p.MACAsked && p.MAC.String() != l.MAC.String() {
		if err := rtnl.SetMAC(ctx, p.Conn, l.Index, p.MAC); err != nil {
			return fmt.Errorf("set the MAC of %s: %w", n.Device, err)
		}
	}
	if p.MTU == 0 {
		p.MTU = was.MTU
	}
	if p.MTU != l.MTU {
		if err := rtnl.SetMTU(ctx, p.Conn, l.Index, p.MTU); err != nil {
			return fmt.Errorf("set the MTU of %s: %w", n.Device, err)
		}
	}
	return nil
}

// Check finds nothing on the host; see [Backend].
func (n Phys) Check(context.Context, *Port) ([]Drift, error) { return nil, nil }

// Unplug brings the interface back, also after the guest died; see [Backend].
func (n Phys) Unplug(ctx context.Context, p *Port) error {
	if p.Conn != nil {
		if err := n.moveOut(ctx, p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return n.recover(ctx, p)
}

// moveOut moves the interface back to the host, where recover puts it right. Its
// name there is one that nobody has, until then.
func (n Phys) moveOut(ctx context.Context, p *Port) error {
	l, m, err := n.inGuest(ctx, p)
	if err != nil {
		return err
	}
	if _, err := unseal(m.Link, m.Was); err != nil {
		return fmt.Errorf("bring back %s: %w", l.Name, err)
	}
	name := n.Device
	if _, err := rtnl.LinkByName(ctx, p.Host.Conn, name); err == nil {
		name = "dev%d" // as the kernel would call it; restorePhys tells
	}
	err = rtnl.Move(ctx, p.Conn, l.Index, rtnl.Place{Namespace: p.Host.Handle, Name: name})
	if immovable(err) {
		return movePhy(ctx, l, guestSide(p), hostSide(p, name))
	}
	return err
}

// inGuest finds the interface in the guest by its mark, whatever it is called
// there.
func (n Phys) inGuest(ctx context.Context, p *Port) (*rtnl.Link, Mark, error) {
	links, err := rtnl.Links(ctx, p.Conn)
	if err != nil {
		return nil, Mark{}, err
	}
	for _, l := range links {
		if m, ok := ParseMark(l.Alias); ok && m.Link == n.String() {
			return l, m, nil
		}
	}
	return nil, Mark{}, errs.New(fs.ErrNotExist, "%s is not in %s", n.Device, p.Guest.Name)
}

// immovable says that the interface cannot change its namespace by itself, as
// wireless ones.
func immovable(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

func hostSide(p *Port, name string) phyPlace { return phyPlace{p.Host.Handle, p.Host.Conn, name} }

func guestSide(p *Port) phyPlace { return phyPlace{p.Guest.Handle, p.Conn, p.Name} }

// recover puts the interface right that the kernel, or moveOut, returned to the
// host: its mark says what it was.
func (n Phys) recover(ctx context.Context, p *Port) error {
	links, err := rtnl.Links(ctx, p.Host.Conn)
	if err != nil {
		return err
	}
	for _, l := range links {
		if m, ok := ParseMark(l.Alias); ok && m.Link == n.String() {
			return restorePhys(ctx, p.Host, l, m)
		}
	}
	return nil
}

// nics puts right every interface that the kernel returned to the host.
func (c *collection) nics(ctx context.Context) error {
	if links, err := rtnl.Links(ctx, c.Conn); err != nil || !slices.ContainsFunc(links, returned) {
		return err
	}
	defer hold(ctx, c.Lock)()
	links, err := rtnl.Links(ctx, c.Conn)
	for _, l := range links {
		if !returned(l) {
			continue
		}
		m, _ := ParseMark(l.Alias)
		name := strings.TrimPrefix(m.Link, "phys:")
		err = errors.Join(err, c.take(name, func() error { return restorePhys(ctx, c.Host, l, m) }))
	}
	return err
}

// unmark gives an interface that did not move its own alias back.
func (n Phys) unmark(ctx context.Context, p *Port, index int) error {
	l, err := rtnl.LinkByIndex(ctx, p.Host.Conn, index)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !returned(l) {
		return n.recover(ctx, p)
	}
	if err != nil {
		return err
	}
	m, _ := ParseMark(l.Alias)
	return restorePhys(ctx, p.Host, l, m)
}

// restorePhys makes the link on the host what its mark says that it was. The
// mark goes last: whoever is interrupted leaves it for the next.
func restorePhys(ctx context.Context, h Host, l *rtnl.Link, m Mark) error {
	text, err := unseal(m.Link, m.Was)
	if err != nil {
		return fmt.Errorf("bring back %s: %w", l.Name, err)
	}
	was, err := parsePast(text)
	if err != nil {
		return fmt.Errorf("bring back %s: %w", l.Name, err)
	}
	steps := []func() error{
		func() error { return renameTo(ctx, h, l, was.Name) },
		func() error { return restoreMAC(ctx, h, l, was) },
		func() error { return rtnl.SetMTU(ctx, h.Conn, l.Index, was.MTU) },
		func() error { return restoreUp(ctx, h, l, was) },
		func() error { return restoreAddrs(ctx, h, l, was) },
		func() error { return rtnl.SetAlias(ctx, h.Conn, l.Index, was.Alias) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("bring back %s: %w", was.Name, err)
		}
	}
	return nil
}

func renameTo(ctx context.Context, h Host, l *rtnl.Link, name string) error {
	if l.Name == name {
		return nil
	}
	if l.Up {
		if err := rtnl.SetDown(ctx, h.Conn, l.Index); err != nil {
			return err
		}
		l.Up = false
	}
	err := rtnl.Rename(ctx, h.Conn, l.Index, name)
	if err == nil {
		l.Name = name
	}
	if errors.Is(err, unix.EEXIST) {
		return errs.New(fs.ErrExist, "it is %s now, because another interface has taken the name %s", l.Name, name)
	}
	return err
}

func restoreMAC(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	if len(was.MAC) == 0 || l.MAC.String() == was.MAC.String() {
		return nil
	}
	return rtnl.SetMAC(ctx, h.Conn, l.Index, was.MAC)
}

func restoreUp(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	if was.Up {
		return rtnl.SetLink(ctx, h.Conn, was.Name, "")
	}
	if l.Up {
		return rtnl.SetDown(ctx, h.Conn, l.Index)
	}
	return nil
}

func restoreAddrs(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	for _, a := range was.Addrs {
		if err := rtnl.AddAddr(ctx, h.Conn, l.Index, a); err != nil {
			return err
		}
	}
	return nil
}
