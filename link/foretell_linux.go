package link

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// foretell is what the plug of n on the parent, or on its VLAN, would refuse.
func (a parent) foretell(ctx context.Context, p *Port, n newLink) (makes []string, err error) {
	lower, err := a.find(ctx, p.Host)
	if err != nil {
		return nil, err
	}
	if a.vlan != 0 {
		v, err := findVLAN(ctx, p.Host, a, lower)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := notReserved(vlanName(a)); err != nil {
				return nil, err
			}
			if err := foundElsewhere(ctx, p.Host, a, lower); err != nil {
				return nil, err
			}
			made := *lower
			made.Name = vlanName(a)
			return []string{"VLAN " + made.Name}, fitMTU(p, &made)
		case err != nil:
			return nil, err
		}
		lower = v
	}
	if err := fitMTU(p, lower); err != nil {
		return nil, err
	}
	errno, err := n.foretell(ctx, p.Host, lower)
	if err != nil || errno == 0 {
		return nil, err
	}
	return nil, refused(newLinkError(errno, n.kind, n.config, p), lower, n.kind)
}

// receivers are the kinds of interfaces whose ports are nothing else's: what they receive has
// one taker (netdev_rx_handler_register in net/core/dev.c).
var receivers = []string{"bridge", "bond", "openvswitch", "team"}

// foretell is what the kernel would answer to a macvlan or an ipvlan on lower; 0: it is made.
func (n newLink) foretell(ctx context.Context, h Host, lower *rtnl.Link) (unix.Errno, error) {
	if lower.Master != 0 {
		master, err := rtnl.LinkByIndex(ctx, h.Conn, lower.Master)
		if err != nil {
			return 0, err
		}
		if slices.Contains(receivers, master.Kind) {
			return unix.EBUSY, nil
		}
	}
	all, err := rtnl.Links(ctx, h.Conn)
	if err != nil {
		return 0, err
	}
	on := slices.DeleteFunc(all, func(l *rtnl.Link) bool {
		return l.Foreign || l.Parent != lower.Index || l.Name == claimName(lower) || !slices.Contains(takers, l.Kind)
	})
	err = eachUpper(ctx, h, lower, takers, func(u uppers) (bool, error) {
		on = append(on, u.links...)
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	for _, l := range on {
		macvlan := l.Kind == "macvlan" || l.Kind == "macvtap"
		switch {
		case macvlan != (n.kind == "macvlan"):
			return unix.EBUSY, nil
		case macvlan && (n.isPassthru() || isPassthru(rtnl.Attr(l.Data, nl.IFLA_MACVLAN_MODE))):
			return unix.EINVAL, nil
		}
	}
	return 0, nil
}

// takers are the kinds of interfaces that take what another one receives.
var takers = []string{"ipvlan", "ipvtap", "macvlan", "macvtap"}

func (n newLink) isPassthru() bool { return isPassthru(n.option.Value) }

func isPassthru(mode []byte) bool {
	return len(mode) == 4 && binary.NativeEndian.Uint32(mode) == kernelModes[MacvlanPassthru]
}
