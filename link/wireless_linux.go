package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mdlayher/genetlink"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// movePhy moves the phy of a wireless interface, which rtnetlink refuses to move
// by itself, from one namespace into another, and then gives the interface its
// name there. Other interfaces of that phy move along (cfg80211_switch_netns), and
// the kernel renames those whose name is taken: so it is found by its number.
func (r *nic) movePhy(ctx context.Context, l *rtnl.Link, from, to phyPlace) error {
	if err := switchPhy(ctx, l, from.space, to.space); err != nil {
		return err
	}
	moved, err := locate(ctx, to.space, []*nic{r})
	for index := range moved {
		return rtnl.Rename(ctx, to.conn, index, to.name)
	}
	if err == nil {
		err = errs.New(fs.ErrNotExist, "the phy of %s moved, and %s did not come with it: see iw dev, and do it again", l.Name, l.Name)
	}
	return err
}

// A phyPlace is a namespace that a phy is in, and its interface's name there.
type phyPlace struct {
	space *ns.Handle
	conn  *ns.Conn
	name  string
}

// switchPhy asks nl80211 for the interface's phy and tells it to move. The
// kernel wants NETNS_FD of NL80211_CMD_SET_WIPHY_NETNS in the caller's own file
// table, and the socket in the namespace that the phy is in.
func switchPhy(ctx context.Context, nic *rtnl.Link, from, to *ns.Handle) error {
	if err := fault.Step(ctx, "move phy"); err != nil {
		return err
	}
	c, err := genetlink.Dial(&mdnetlink.Config{NetNS: int(from.NetNS())})
	if err != nil {
		return fmt.Errorf("open nl80211: %w", err)
	}
	defer func() { _ = c.Close() }()
	family, err := c.GetFamily(unix.NL80211_GENL_NAME)
	if err != nil {
		return errs.New(errors.ErrUnsupported, "%s cannot move to another network namespace by itself, and where it is wireless, this kernel lacks nl80211: CONFIG_CFG80211", nic.Name)
	}
	phy, err := phyOf(c, family, nic)
	if err != nil {
		return err
	}
	ae := mdnetlink.NewAttributeEncoder()
	ae.Uint32(unix.NL80211_ATTR_WIPHY, phy)
	ae.Uint32(unix.NL80211_ATTR_NETNS_FD, uint32(to.NetNS()))
	data, err := ae.Encode()
	if err != nil {
		return err
	}
	msg := genetlink.Message{Header: genetlink.Header{Command: unix.NL80211_CMD_SET_WIPHY_NETNS}, Data: data}
	if _, err := c.Execute(msg, family.ID, mdnetlink.Request|mdnetlink.Acknowledge); err != nil {
		return fmt.Errorf("move the phy of %s: %w", nic.Name, err)
	}
	return nil
}

func phyOf(c *genetlink.Conn, family genetlink.Family, nic *rtnl.Link) (uint32, error) {
	ae := mdnetlink.NewAttributeEncoder()
	ae.Uint32(unix.NL80211_ATTR_IFINDEX, uint32(nic.Index))
	data, err := ae.Encode()
	if err != nil {
		return 0, err
	}
	msg := genetlink.Message{Header: genetlink.Header{Command: unix.NL80211_CMD_GET_INTERFACE}, Data: data}
	answers, err := c.Execute(msg, family.ID, mdnetlink.Request)
	if err != nil || len(answers) == 0 {
		return 0, errs.New(errors.ErrUnsupported, "%s cannot move to another network namespace, and is not wireless (%v)", nic.Name, err)
	}
	ad, err := mdnetlink.NewAttributeDecoder(answers[0].Data)
	if err != nil {
		return 0, err
	}
	for ad.Next() {
		if ad.Type() == unix.NL80211_ATTR_WIPHY {
			return ad.Uint32(), nil
		}
	}
	return 0, fmt.Errorf("nl80211 does not tell the phy of %s", nic.Name)
}
