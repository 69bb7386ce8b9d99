package uplink

import (
	"context"
	"errors"
	"fmt"

	"github.com/mdlayher/genetlink"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file foretells what the kernel would refuse to make a port of a bridge.

// refusedUpper refuses a NIC whose frames are taken by interfaces that stand on it.
func (j refuser) refusedUpper(ctx context.Context, nic *rtnl.Link) error {
	all, err := rtnl.Links(ctx, j.host.Conn)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.Parent != nic.Index || l.Foreign {
			continue
		}
		switch l.Kind {
		case "macvlan", "macvtap":
			switch {
			case j.isShim():
				continue
			case l.Alias == shimMark:
				return errs.New(errors.ErrUnsupported, "%s cannot be a port of a bridge while it has a shim: pipework shim --undo %s", j.NIC, j.NIC)
			}
			fallthrough
		case "ipvlan", "ipvtap":
			return j.standOn(fmt.Sprintf("the %s interface %s", l.Kind, l.Name))
		}
	}
	return nil
}

// standOn is the error of a NIC on which such an interface stands.
func (j refuser) standOn(what string) error {
	return errs.New(errors.ErrUnsupported, "%s cannot be a port of a bridge: %s on it takes its frames: detach that guest first, or remove it (ip link del)", j.NIC, what)
}

// refusedWireless refuses a station of a wireless network without 4-address mode: such a one
// sends no frames of others.
func (j refuser) refusedWireless(ctx context.Context, nic *rtnl.Link) error {
	if j.isShim() {
		return nil // which says so by itself
	}
	if kind, fourAddresses := j.wireless(ctx, nic); kind != unix.NL80211_IFTYPE_STATION && kind != unix.NL80211_IFTYPE_ADHOC || fourAddresses {
		return nil
	}
	return j.noWireless()
}

func (j refuser) noWireless() error {
	return errs.New(errors.ErrUnsupported, "no bridge takes %s: a wireless one is taken only with 4-address mode (iw dev %s set 4addr on), which its access point has to know, too; or plug guests into it by ipvlan", j.NIC, j.NIC)
}

// wireless asks nl80211 for the kind of a wireless interface (NL80211_IFTYPE_*), and whether it
// uses 4-address mode; 0 is none, or that nobody tells.
func (j refuser) wireless(ctx context.Context, nic *rtnl.Link) (kind uint32, fourAddresses bool) {
	_ = j.do(ctx, func() error {
		c, err := genetlink.Dial(nil)
		if err != nil {
			return nil
		}
		defer func() { _ = c.Close() }()
		family, err := c.GetFamily(unix.NL80211_GENL_NAME)
		if err != nil {
			return nil
		}
		ae := mdnetlink.NewAttributeEncoder()
		ae.Uint32(unix.NL80211_ATTR_IFINDEX, uint32(nic.Index))
		data, err := ae.Encode()
		if err != nil {
			return nil
		}
		msg := genetlink.Message{Header: genetlink.Header{Command: unix.NL80211_CMD_GET_INTERFACE}, Data: data}
		answers, err := c.Execute(msg, family.ID, mdnetlink.Request)
		if err != nil || len(answers) == 0 {
			return nil
		}
		ad, err := mdnetlink.NewAttributeDecoder(answers[0].Data)
		if err != nil {
			return nil
		}
		for ad.Next() {
			switch ad.Type() {
			case unix.NL80211_ATTR_IFTYPE:
				kind = ad.Uint32()
			case unix.NL80211_ATTR_4ADDR:
				fourAddresses = ad.Uint8() != 0
			}
		}
		return nil
	})
	return kind, fourAddresses
}
