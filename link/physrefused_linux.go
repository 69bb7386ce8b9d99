package link

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file says why an interface of the host cannot be moved into a guest.

// portOf is the error of an interface that is part of another one.
func portOf(ctx context.Context, p *Port, nic *rtnl.Link) error {
	master, err := rtnl.LinkByIndex(ctx, p.Host.Conn, nic.Master)
	if err != nil {
		return err
	}
	return partOf(nic.Name, master)
}

func partOf(name string, master *rtnl.Link) error {
	kind, mend := master.Kind, "ip link set "+name+" nomaster"
	switch kind {
	case "vrf":
		kind = "VRF"
	case "openvswitch":
		kind, mend = "Open vSwitch datapath", "ovs-vsctl del-port "+name
	}
	return errs.New(fs.ErrInvalid, "%s is part of the %s %s: %s", name, kind, master.Name, mend)
}

// isVirtual says that a driver of the kernel made the link by itself, and that no radio
// is behind it.
func isVirtual(l *rtnl.Link) bool { return l.Kind != "" && l.Kind != "virt_wifi" }

// stay are the kinds that no kernel moves; others it may, or may not.
var stay = []string{"bond", "team", "vrf"}

// stays is the error of a link that the kernel leaves in its namespace (netns_immutable
// in include/linux/netdevice.h): bonds, teams and bridges among others.
func stays(l *rtnl.Link, err error) error {
	return errs.New(errors.ErrUnsupported, "%s is a %s link, which the kernel does not move to another network namespace (%w): plug into it without moving it, or move one of its ports", l.Name, l.Kind, err)
}

// nameTaken is the error of a move that ended with EEXIST: the guest has the name, or
// one of the interface's altnames.
func nameTaken(ctx context.Context, p *Port, l *rtnl.Link) error {
	if err := foretellNames(ctx, p, l); err != nil {
		return err
	}
	return errs.New(fs.ErrInvalid, "the guest has an interface of one of the names of %s: see ip link", l.Name)
}

// foretellNames is nameTaken where it can be told which, and else nil.
func foretellNames(ctx context.Context, p *Port, l *rtnl.Link) error {
	for _, name := range append([]string{p.Name}, l.AltNames...) {
		has, err := rtnl.LinkByName(ctx, p.Conn, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil || name == p.Name:
			return taken(p, err)
		default:
			return errs.New(fs.ErrInvalid, "%s in the guest is called %s, too, which is an altname of %s: ip link property del dev %s altname %s", charset.Shown(has.Name), charset.Shown(name), l.Name, l.Name, charset.Shown(name))
		}
	}
	return nil
}
