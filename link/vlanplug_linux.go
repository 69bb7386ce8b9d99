package link

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Plug makes the interface; see [Backend].
func (v VLAN) Plug(ctx context.Context, p *Port, u *Undo) error {
	n := newLink{kind: "vlan", config: "CONFIG_VLAN_8021Q", option: vlanTag(v.VLAN)}
	if p.MACAsked {
		n.mac = p.MAC
	}
	on := parent{name: v.Parent}
	err := on.plug(ctx, p, u, n)
	if !errors.Is(err, unix.EEXIST) { // of the VLAN: an interface in the guest is found before
		return err
	}
	if err := v.removeLeftover(ctx, p); err != nil {
		return err
	}
	if err = on.plug(ctx, p, u, n); errors.Is(err, unix.EEXIST) {
		return v.holder(ctx, p)
	}
	return err
}

// Foretell is what Plug would refuse; see [Foreteller].
func (v VLAN) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	on := parent{name: v.Parent}
	lower, err := on.find(ctx, p.Host)
	if err != nil {
		return nil, err
	}
	if err := fitMTU(p, lower); err != nil {
		return nil, err
	}
	here, err := findVLAN(ctx, p.Host, v.place(), lower)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, foundElsewhere(ctx, p.Host, v.place(), lower)
	case err == nil && !isOrphan(here):
		err = v.holder(ctx, p)
	}
	return nil, err
}

// removeLeftover removes the VLAN interface from the host that a killed call left there
// on its way into a guest.
func (v VLAN) removeLeftover(ctx context.Context, p *Port) error {
	defer hold(ctx, p.Host.Lock)() // nobody is on the way now
	lower, err := hostLink(ctx, p.Host, v.Parent)
	if err != nil {
		return err
	}
	l, err := findVLAN(ctx, p.Host, v.place(), lower)
	if err != nil || !isOrphan(l) {
		return nil // the holder is told by whoever fails because of it
	}
	return rtnl.DelLink(ctx, p.Host.Conn, l.Name)
}

// holder is the error of a VLAN that somebody has.
func (v VLAN) holder(ctx context.Context, p *Port) error {
	lower, err := hostLink(ctx, p.Host, v.Parent)
	if err != nil {
		return err
	}
	here, err := findVLAN(ctx, p.Host, v.place(), lower)
	switch {
	case err != nil: // not on the host
		return heldElsewhere(ctx, p.Host, v.place(), lower)
	case madeVLAN(here):
		return errs.New(fs.ErrInvalid, "VLAN %d of %s is %s on the host, which pipework made for a macvlan or ipvlan: detach that first, or take a macvlan for this guest, too", v.VLAN, v.Parent, here.Name)
	}
	return errs.New(fs.ErrInvalid, "VLAN %d of %s is %s on the host: remove that, or move it into the guest itself with --direct-phys %s", v.VLAN, v.Parent, here.Name, here.Name)
}

// Check finds the interface, its VLAN and its parent; see [Backend].
func (v VLAN) Check(ctx context.Context, p *Port) ([]Drift, error) {
	l, drifts, err := parent{name: v.Parent}.check(ctx, p, "vlan")
	if err != nil {
		return nil, err
	}
	if !hasTag(l, v.VLAN) {
		return nil, errs.New(fs.ErrInvalid, "%s in %s is not VLAN %d of %s: detach it first", p.Name, p.Guest.Name, v.VLAN, v.Parent)
	}
	return drifts, nil
}

// Unplug removes the interface; see [Backend].
func (VLAN) Unplug(ctx context.Context, p *Port) error { return unplugLink(ctx, p) }
