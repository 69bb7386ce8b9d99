package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// filters says whether the port needs a bridge that filters VLANs.
func (b Bridge) filters() bool { return b.VLAN != 0 || len(b.Trunks) > 0 }

// vlans are the VLANs that the port belongs to.
func (b Bridge) vlans() rtnl.VLANs {
	v := rtnl.VLANs{}
	for _, t := range b.Trunks {
		v[uint16(t)] = 0
	}
	if b.VLAN != 0 {
		v[uint16(b.VLAN)] = rtnl.VLANPVID | rtnl.VLANUntagged
	}
	return v
}

// canFilter refuses a bridge that does not filter VLANs when it should.
func (b Bridge) canFilter(br *rtnl.Link) error {
	if !b.filters() {
		return nil
	}
	on, possible := br.VLANFiltering()
	switch {
	case !possible:
		return errNoVLANs()
	case !on:
		return errs.New(fs.ErrInvalid, "VLAN configuration currently unsupported for Linux bridge. (%s does not filter VLANs) Type ip link set %s type bridge vlan_filtering 1", b.Name, b.Name)
	}
	return nil
}

func errNoVLANs() error {
	return errs.New(errors.ErrUnsupported, "VLAN configuration currently unsupported for Linux bridge. (CONFIG_BRIDGE_VLAN_FILTERING is not in this kernel)")
}

// setPort gives the new port its VLANs, before the guest's end is up, instead of
// the one that every new port gets; and its flags. They go with the port.
func (b Bridge) setPort(ctx context.Context, p *Port, br *rtnl.Link) error {
	if b.plain() {
		return nil
	}
	port, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return err
	}
	if b.filters() {
		if err := setVLANs(ctx, p, port, rtnl.VLANs{br.DefaultPVID(): 0}, b.vlans()); err != nil {
			return err
		}
	}
	if b.flags() != (rtnl.PortFlags{}) {
		return portError(rtnl.SetPortFlags(ctx, p.Host.Conn, port.Index, b.flags()))
	}
	return nil
}

// noVLAN says whether the bridge filters VLANs, and gives new ports none where none is
// asked for.
func (b Bridge) noVLAN(br *rtnl.Link) bool {
	on, _ := br.VLANFiltering()
	return on && !b.filters() && br.DefaultPVID() == 0
}

func silent(bridge, port string) string {
	return fmt.Sprintf("bridge %s filters VLANs (vlan_default_pvid 0), and its port %s belongs to none: no frame passes; ask for a VLAN (@100), or type bridge vlan add vid 1 pvid untagged dev %s", bridge, port, port)
}

// differing tells which flags are not as they should be, as bridge(8) calls them.
func differing(was, should rtnl.PortFlags) string {
	word := map[bool]string{false: "off", true: "on"}
	var all []string
	if was.Isolated != should.Isolated {
		all = append(all, fmt.Sprintf("isolated %s instead of %s", word[was.Isolated], word[should.Isolated]))
	}
	if was.Hairpin != should.Hairpin {
		all = append(all, fmt.Sprintf("hairpin %s instead of %s", word[was.Hairpin], word[should.Hairpin]))
	}
	return strings.Join(all, ", ")
}

// plain says that the port is as every new port.
func (b Bridge) plain() bool { return !b.filters() && b.flags() == rtnl.PortFlags{} }

func (b Bridge) flags() rtnl.PortFlags {
	return rtnl.PortFlags{Isolated: b.Isolated, Hairpin: b.Hairpin}
}

// setVLANs gives the port the VLANs want, and takes the others of had.
func setVLANs(ctx context.Context, p *Port, port *rtnl.Link, had, want rtnl.VLANs) error {
	extra := maps.Clone(had)
	maps.DeleteFunc(extra, func(vid, _ uint16) bool { _, keep := want[vid]; return keep || vid == 0 })
	if err := rtnl.DelVLANs(ctx, p.Host.Conn, port.Index, extra); err != nil {
		return err
	}
	return portError(rtnl.SetVLANs(ctx, p.Host.Conn, port.Index, want))
}

func portError(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return errs.New(errors.ErrUnsupported, "%w: this kernel's bridges lack it (CONFIG_BRIDGE_VLAN_FILTERING, or Linux before 4.18 for isolation)", err)
	}
	return err
}

// portDrifts compares the port's VLANs and flags with what they should be. A port that is
// as every new one may have been changed by others.
func (b Bridge) portDrifts(ctx context.Context, p *Port, br *rtnl.Link) ([]Drift, error) {
	on, _ := br.VLANFiltering()
	if b.plain() && !p.Exact && !on {
		return nil, nil
	}
	port, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return nil, err
	}
	var drifts []Drift
	was, should := port.PortFlags(), b.flags()
	if !p.Exact { // what is not asked for is an administrator's to set
		should.Isolated, should.Hairpin = should.Isolated || was.Isolated, should.Hairpin || was.Hairpin
	}
	if was != should {
		drifts = append(drifts, Drift{Chosen: true, What: fmt.Sprintf("bridge port %s has %s", port.Name, differing(was, should)), Mend: func(ctx context.Context, u *Undo) error {
			u.Push("port flags of "+port.Name, func(ctx context.Context) error { return rtnl.SetPortFlags(ctx, p.Host.Conn, port.Index, was) })
			return rtnl.SetPortFlags(ctx, p.Host.Conn, port.Index, should)
		}})
	}
	if !on && !b.filters() {
		return drifts, nil
	}
	want := b.vlans()
	if pvid := br.DefaultPVID(); !b.filters() && pvid != 0 {
		want[pvid] = rtnl.VLANPVID | rtnl.VLANUntagged
	}
	have, err := rtnl.PortVLANs(ctx, p.Host.Conn, port.Index)
	switch {
	case err != nil:
		return nil, err
	case len(have) == 0 && b.noVLAN(br):
		return append(drifts, Drift{What: silent(b.Name, port.Name)}), nil
	case maps.Equal(have, want), !b.filters() && !p.Exact:
		return drifts, nil
	}
	return append(drifts, Drift{Chosen: true, What: fmt.Sprintf("bridge port %s has other VLANs than asked for", port.Name), Mend: func(ctx context.Context, u *Undo) error {
		u.Push("VLANs of "+port.Name, func(ctx context.Context) error { return setVLANs(ctx, p, port, want, have) })
		return setVLANs(ctx, p, port, have, want)
	}}), nil
}
