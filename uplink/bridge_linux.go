package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/link/firewall"
)

// linux are bridges of Linux.
type linux struct{ *job }

func (b linux) find(ctx context.Context) (*rtnl.Link, error) {
	br, err := rtnl.LinkByName(ctx, b.host.Conn, b.Bridge)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case br.Kind != "bridge":
		return nil, errs.New(fs.ErrInvalid, "%s is no bridge: choose another name", b.Bridge)
	}
	return br, nil
}

func (b linux) refused(ctx context.Context, nic, br *rtnl.Link) error {
	if br == nil {
		return nil
	}
	if br.Alias == link.UplinkMark {
		return errs.New(fs.ErrExist, "%s is the uplink of another NIC, of which %s has no record: choose another bridge", br.Name, b.records())
	}
	if err := refuser(b).refusedAddrs(ctx, br); err != nil {
		return err
	}
	on, _ := br.VLANFiltering()
	switch {
	case br.MTU != nic.MTU:
		return errs.New(fs.ErrInvalid, "%s has an MTU of %d, and %s one of %d: ip link set %s mtu %d", br.Name, br.MTU, nic.Name, nic.MTU, br.Name, nic.MTU)
	case br.SpanningTree():
		return errs.New(fs.ErrInvalid, "%s takes part in a spanning tree, which keeps frames from a new port for half a minute: ip link set %s type bridge stp_state 0", br.Name, br.Name)
	case on && br.DefaultPVID() == 0:
		return errs.New(fs.ErrInvalid, "%s filters VLANs, and passes no frames without a tag: ip link set %s type bridge vlan_default_pvid 1", br.Name, br.Name)
	}
	return nil
}

func (b linux) ready(context.Context) error { return nil }

func (b linux) note(context.Context, *record) error { return nil }

// create sets the MTU, so that no guest's port changes it.
func (b linux) create(ctx context.Context, _ *record, nic *rtnl.Link) (*rtnl.Link, error) {
	n := rtnl.NewLink{End: rtnl.End{Name: b.Bridge, MAC: nic.MAC, MTU: nic.MTU}, Kind: "bridge"}
	if err := n.Add(ctx, b.host.Conn); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			return nil, errs.New(errors.ErrUnsupported, "this kernel makes no bridges: CONFIG_BRIDGE")
		}
		return nil, fmt.Errorf("make bridge %s: %w", b.Bridge, err)
	}
	br, err := rtnl.LinkByName(ctx, b.host.Conn, b.Bridge)
	if err != nil {
		return nil, err
	}
	return br, rtnl.SetMTU(ctx, b.host.Conn, br.Index, nic.MTU)
}

func (b linux) start(ctx context.Context, _ *record, nic, br *rtnl.Link) error {
	if br.Unfinished() {
		return rtnl.Finish(ctx, b.host.Conn, b.Bridge, link.UplinkMark)
	}
	if br.MAC.String() != nic.MAC.String() {
		if err := rtnl.SetMAC(ctx, b.host.Conn, br.Index, nic.MAC); err != nil {
			return fmt.Errorf("give %s the MAC of %s: %w", b.Bridge, b.NIC, err)
		}
	}
	return rtnl.SetLink(ctx, b.host.Conn, b.Bridge, aliasAsUplink(br))
}

// aliasAsUplink is the ifalias of a bridge that was there; "": it keeps its own. One that
// pipework made would be told to ignore routers by the next attach.
func aliasAsUplink(br *rtnl.Link) string {
	if br.Alias == link.BridgeMark {
		return link.UplinkMark
	}
	return ""
}

func (b linux) enslave(ctx context.Context, _ *record, nic, br *rtnl.Link) error {
	err := rtnl.SetMaster(ctx, b.host.Conn, nic.Index, br.Index)
	switch {
	case errors.Is(err, unix.EBUSY):
		return errs.New(errors.ErrUnsupported, "%w (%w)", refuser(b).standOn("a macvlan or ipvlan interface"), err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ELOOP):
		return errs.New(errors.ErrUnsupported, "%w (%w)", refuser(b).noWireless(), err)
	}
	return err
}

func (b linux) enslaved(_ context.Context, _ *record, nic, br *rtnl.Link) (bool, error) {
	return nic.Master == br.Index, nil
}

func (b linux) refresh(context.Context, *record, *rtnl.Link, *rtnl.Link) error { return nil }

func (b linux) release(ctx context.Context, _ *record, nic, br *rtnl.Link) error {
	if br == nil || nic.Master != br.Index {
		return nil
	}
	return rtnl.SetMaster(ctx, b.host.Conn, nic.Index, 0)
}

func (b linux) reset(ctx context.Context, r *record, br *rtnl.Link) error {
	if br.MAC.String() != r.Was.MAC.String() {
		if err := rtnl.SetMAC(ctx, b.host.Conn, br.Index, r.Was.MAC); err != nil {
			return err
		}
	}
	if br.Alias == r.Was.Alias {
		return nil
	}
	return rtnl.SetAlias(ctx, b.host.Conn, br.Index, r.Was.Alias)
}

func (b linux) made(_ context.Context, _ *record, br *rtnl.Link) (bool, error) {
	return br != nil && (br.Unfinished() || br.Alias == link.UplinkMark), nil
}

func (b linux) used(ctx context.Context, _ *record, br *rtnl.Link) (bool, error) {
	return b.deviceUsed(ctx, br)
}

func (b linux) leave(ctx context.Context, br *rtnl.Link) error {
	return rtnl.SetAlias(ctx, b.host.Conn, br.Index, link.BridgeMark)
}

func (b linux) remove(ctx context.Context, _ *record, br *rtnl.Link) error {
	if err := rtnl.DelLinkByIndex(ctx, b.host.Conn, br.Index); err != nil {
		return err
	}
	return firewall.Bridge{Name: b.Bridge, Do: b.do}.Remove(ctx)
}
