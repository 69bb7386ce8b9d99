package link

import (
	"bytes"
	"context"
	"errors"

	"github.com/vishvananda/netlink/nl"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Plug makes the interface; see [Backend].
func (i Ipvlan) Plug(ctx context.Context, p *Port, u *Undo) error {
	n := newLink{kind: "ipvlan", config: "CONFIG_IPVLAN", option: i.Mode.option()}
	err := i.parent().plug(ctx, p, u, n)
	if errors.Is(err, enotsupp) {
		return errs.New(errors.ErrUnsupported, "this kernel has no ipvlan mode %s: CONFIG_IPVLAN_L3S", i.Mode)
	}
	return err
}

// Foretell is what Plug would refuse; see [Foreteller].
func (i Ipvlan) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	return i.parent().foretell(ctx, p, newLink{kind: "ipvlan", config: "CONFIG_IPVLAN"})
}

// option is IFLA_IPVLAN_MODE: IPVLAN_MODE_* of linux/if_link.h begin with l2, 0.
func (m IpvlanMode) option() rtnl.Option {
	return rtnl.Option{Type: nl.IFLA_IPVLAN_MODE, Value: nl.Uint16Attr(uint16(m))}
}

// Check finds the interface, its mode and its parent; see [Backend].
func (i Ipvlan) Check(ctx context.Context, p *Port) ([]Drift, error) {
	l, drifts, err := i.parent().check(ctx, p, "ipvlan")
	if err != nil {
		return nil, err
	}
	return append(drifts, modeDrift(p, l, i.Mode.String(), i.Mode.option())...), nil
}

// Unplug removes the interface, and a VLAN that was made for it when nobody else
// uses that; see [Backend].
func (i Ipvlan) Unplug(ctx context.Context, p *Port) error { return i.parent().unplug(ctx, p) }

// modeDrift compares the mode of the guest's interface l with what it should be.
func modeDrift(p *Port, l *rtnl.Link, mode string, want rtnl.Option) []Drift {
	have := rtnl.Attr(l.Data, want.Type)
	if bytes.Equal(have, want.Value) {
		return nil
	}
	return []Drift{{Chosen: true, What: "mode of " + l.Name + " is not " + mode, Mend: func(ctx context.Context, u *Undo) error {
		u.Push("mode of "+l.Name, func(ctx context.Context) error {
			return rtnl.SetOption(ctx, p.Conn, l, rtnl.Option{Type: want.Type, Value: have})
		})
		return rtnl.SetOption(ctx, p.Conn, l, want)
	}}}
}
