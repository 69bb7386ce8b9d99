package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	l, err := n.find(ctx, p)
	if err != nil {
		return err
	}
	if err := n.movable(ctx, p, l); err != nil {
		return err
	}
	r, err := n.remember(ctx, p, l)
	if err != nil {
		return err
	}
	u.Push("mark of "+n.Device, func(ctx context.Context) error { return n.unmark(ctx, p, r) })
	if err := r.save(ctx); err != nil {
		return fmt.Errorf("record what %s was: %w", n.Device, err)
	}
	if err := rtnl.SetAlias(ctx, p.Host.Conn, l.Index, r.Mark); err != nil {
		return fmt.Errorf("mark %s: %w", n.Device, err)
	}
	// Pushed before the move, for one that fails half-way: the kernel moves
	// first and renames then, and a phy is moved before its interface is renamed.
	u.Push("move of "+n.Device, func(ctx context.Context) error { return n.moveOut(ctx, p) })
	r.moved = true
	if err := n.moveIn(ctx, p, l, r); err != nil {
		return err
	}
	if r.ends() {
		p.Warn("%s is a %s link, which ends with its guest: detach it before that, or plug a macvlan in (macvlan:%s)", n.Device, l.Kind, n.Device)
	}
	return n.dress(ctx, p, r.Was)
}

// find looks the interface up by its name, or by the host's record where it was in
// a guest that died.
func (n Phys) find(ctx context.Context, p *Port) (*rtnl.Link, error) {
	if err := n.recover(ctx, p); err != nil {
		return nil, err
	}
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, n.Device)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, n.absent()
	}
	return l, err
}

func (n Phys) absent() error {
	return errs.New(fs.ErrNotExist, "the host has no interface %s: see ip link", n.Device)
}

// Foretell is what Plug would refuse; see [Foreteller].
func (n Phys) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	back, err := returned(ctx, p.Host)
	if err != nil {
		return nil, err
	}
	for _, r := range back {
		if r.mark().Link == n.String() {
			return nil, nil // which Plug puts right first
		}
	}
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, n.Device)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, n.absent()
	case err != nil:
		return nil, err
	}
	if err := n.movable(ctx, p, l); err != nil {
		return nil, err
	}
	if slices.Contains(stay, l.Kind) {
		return nil, stays(l, unix.EINVAL)
	}
	return nil, foretellNames(ctx, p, l)
}

// movable refuses what the host would miss.
func (n Phys) movable(ctx context.Context, p *Port, nic *rtnl.Link) error {
	switch {
	case nic.Type == unix.ARPHRD_LOOPBACK:
		return errs.New(fs.ErrInvalid, "%s is the host's loopback: name a network interface", n.Device)
	case nic.Kind == "bridge":
		return errs.New(fs.ErrInvalid, "%s is a bridge: name a network interface", n.Device)
	case nic.Master != 0:
		return portOf(ctx, p, nic)
	case n.AllowDefaultRoute:
		return nil
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := rtnl.Defaults(ctx, p.Host.Conn, family, unix.RT_TABLE_MAIN)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(routes, func(r rtnl.Route) bool { return r.Through(nic.Index) }) {
			return errs.New(fs.ErrPermission, "%s carries the host's default route: moving it may cut the host off (only a spec with allow_default_route permits it)", n.Device)
		}
	}
	return nil
}

// remember is the record of what moving takes away.
func (n Phys) remember(ctx context.Context, p *Port, l *rtnl.Link) (*nic, error) {
	r := &nic{Guest: p.Guest.Inode().Ino, Kind: l.Kind, Mark: p.Mark.String()}
	r.Was = past{Name: l.Name, MAC: l.MAC, MTU: l.MTU, Up: l.Up, Alias: l.Alias, AltNames: l.AltNames, Settings: &l.Settings}
	if err := r.Was.save(ctx, p, l); err != nil {
		return nil, err
	}
	var err error
	if r.Upper, err = standing(ctx, p.Host, l); err != nil {
		return nil, err
	}
	r.ID, err = identify(ctx, p.Host.Handle, l)
	return r, err
}

// moveIn moves and renames the interface in one message, or its phy where it is
// wireless.
func (n Phys) moveIn(ctx context.Context, p *Port, l *rtnl.Link, r *nic) error {
	err := rtnl.Move(ctx, p.Host.Conn, l.Index, rtnl.Place{Namespace: p.Guest.Handle, Name: p.Name})
	switch {
	case errors.Is(err, unix.EEXIST):
		return nameTaken(ctx, p, l)
	case immovable(err) && isVirtual(l):
		return stays(l, err)
	case immovable(err):
		return r.movePhy(ctx, l, hostSide(p, l.Name), phyPlace{p.Guest.Handle, p.Conn, p.Name})
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

// immovable says that the interface cannot change its namespace by itself, as
// wireless ones.
func immovable(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

func hostSide(p *Port, name string) phyPlace { return phyPlace{p.Host.Handle, p.Host.Conn, name} }

// Check finds nothing on the host. An interface that is not the host's own is an
// error that satisfies fs.ErrPermission; see [Backend].
func (n Phys) Check(ctx context.Context, p *Port) ([]Drift, error) {
	nics, err := NICs(ctx, p.Guest.Handle)
	if err != nil {
		return nil, err
	}
	links, err := rtnl.Links(ctx, p.Conn)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Name == p.Name && nics[l.Index].Link != n.String() {
			return nil, unproven(p, n)
		}
	}
	n.warnOfFalse(p, links, func(index int) bool { return nics[index].Link == n.String() })
	return nil, nil
}
