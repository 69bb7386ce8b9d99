package link

import (
	"context"

	"github.com/vishvananda/netlink/nl"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// Plug makes the interface; see [Backend].
func (m Macvlan) Plug(ctx context.Context, p *Port, u *Undo) error {
	n := newLink{kind: "macvlan", config: "CONFIG_MACVLAN", mac: p.MAC, option: m.Mode.option()}
	err := m.parent().plug(ctx, p, u, n)
	if m.Mode == MacvlanPassthru {
		p.Made = false // it has the parent's MAC
	}
	return err
}

// Foretell is what Plug would refuse; see [Foreteller].
func (m Macvlan) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	return m.parent().foretell(ctx, p, newLink{kind: "macvlan", config: "CONFIG_MACVLAN", option: m.Mode.option()})
}

// kernelModes are MACVLAN_MODE_* of linux/if_link.h.
var kernelModes = [...]uint32{MacvlanBridge: 4, MacvlanPrivate: 1, MacvlanVEPA: 2, MacvlanPassthru: 8}

func (m MacvlanMode) option() rtnl.Option {
	return rtnl.Option{Type: nl.IFLA_MACVLAN_MODE, Value: nl.Uint32Attr(kernelModes[m])}
}

// Check finds the interface, its mode and its parent; see [Backend].
func (m Macvlan) Check(ctx context.Context, p *Port) ([]Drift, error) {
	l, drifts, err := m.parent().check(ctx, p, "macvlan")
	if err != nil {
		return nil, err
	}
	return append(drifts, modeDrift(p, l, m.Mode.String(), m.Mode.option())...), nil
}

// Unplug removes the interface, and a VLAN that was made for it when nobody else
// uses that; see [Backend].
func (m Macvlan) Unplug(ctx context.Context, p *Port) error { return m.parent().unplug(ctx, p) }
