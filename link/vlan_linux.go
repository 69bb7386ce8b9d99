package link

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// vlanMark is the ifalias of a VLAN interface that pipework made.
const vlanMark = markWord + " vlan"

// vlanName is the classic name of the host's interface for a VLAN, eth0.100;
// where that has more than 15 characters, "pw", eight hex digits of its hash,
// and the tag.
func vlanName(a parent) string {
	name := fmt.Sprintf("%s.%d", a.name, a.vlan)
	if len(name) <= nameMax {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("pw%x.%d", sum[:4], a.vlan)
}

// ensureVLAN finds the interface for VLAN a.vlan of lower, which a.name names,
// or makes it.
func ensureVLAN(ctx context.Context, p *Port, u *Undo, a parent, lower *rtnl.Link) (*rtnl.Link, error) {
	v, err := findVLAN(ctx, p.Host, a, lower)
	if errors.Is(err, fs.ErrNotExist) {
		if err := free(ctx, p); err != nil {
			return nil, err
		}
		if err := createVLAN(ctx, p, u, a, lower); err != nil {
			return nil, err
		}
		v, err = findVLAN(ctx, p.Host, a, lower)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, heldElsewhere(ctx, p.Host, a, lower)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case v.Unfinished(), isOrphan(v): // by a call that was killed, also one of [VLAN]
		err = finishVLAN(ctx, p, v.Name)
		v.Alias, v.Group, v.Up = vlanMark, 0, true
	case madeVLAN(v) && v.TakesAdvertisements(): // made by an earlier version
		err = ignoreRouters(ctx, p, v.Name)
	}
	if err != nil {
		return nil, err
	}
	return v, raiseFor(ctx, p, u, v)
}

// findVLAN finds the interface by its classic name, or else by what it is: a
// NIC has each VLAN only once, under whatever name.
func findVLAN(ctx context.Context, h Host, a parent, lower *rtnl.Link) (*rtnl.Link, error) {
	v, err := rtnl.LinkByName(ctx, h.Conn, vlanName(a))
	switch {
	case err == nil && !isVLAN(v, a.vlan, lower):
		return nil, errs.New(fs.ErrInvalid, "%s is not VLAN %d of %s but %s: rename it, or take another tag", v.Name, a.vlan, a.name, kindOf(v))
	case err == nil, !errors.Is(err, fs.ErrNotExist):
		return v, err
	}
	all, listed := rtnl.LinksOfKind(ctx, h.Conn, "vlan")
	if listed != nil {
		return nil, listed
	}
	for _, v := range all {
		if isVLAN(v, a.vlan, lower) {
			return v, nil
		}
	}
	return nil, err
}

// isVLAN says whether v is this VLAN of lower, by 802.1Q.
func isVLAN(v *rtnl.Link, id int, lower *rtnl.Link) bool {
	return v.Kind == "vlan" && v.Parent == lower.Index && !v.Foreign && hasTag(v, id)
}

// hasTag says whether the VLAN interface is of this tag, by 802.1Q.
func hasTag(v *rtnl.Link, id int) bool {
	tag, proto := rtnl.Attr(v.Data, nl.IFLA_VLAN_ID), rtnl.Attr(v.Data, nl.IFLA_VLAN_PROTOCOL)
	return len(tag) == 2 && int(binary.NativeEndian.Uint16(tag)) == id &&
		(len(proto) != 2 || binary.BigEndian.Uint16(proto) == unix.ETH_P_8021Q)
}

// vlanTag makes a VLAN interface one of this tag, by 802.1Q.
func vlanTag(id int) rtnl.Option {
	return rtnl.Option{Type: nl.IFLA_VLAN_ID, Value: nl.Uint16Attr(uint16(id))}
}

// createVLAN makes the interface, marks it, and sets it up. It has the MTU and
// MAC of lower.
func createVLAN(ctx context.Context, p *Port, u *Undo, a parent, lower *rtnl.Link) error {
	name := vlanName(a)
	if err := notReserved(name); err != nil {
		return err
	}
	err := newLink{kind: "vlan", parent: lower.Index, option: vlanTag(a.vlan)}.link(name, 0).Add(ctx, p.Host.Conn)
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil // somebody was faster
	case err != nil:
		return newLinkError(err, "VLAN", "CONFIG_VLAN_8021Q", p)
	}
	u.Push("VLAN "+name, func(ctx context.Context) error {
		return releaseVLAN(ctx, p.Host, name, func(*rtnl.Link) bool { return true })
	})
	return finishVLAN(ctx, p, name)
}

// finishVLAN marks the new interface and sets it up, once it ignores what others say.
func finishVLAN(ctx context.Context, p *Port, name string) error {
	if err := ignoreRouters(ctx, p, name); err != nil {
		return err
	}
	return rtnl.Finish(ctx, p.Host.Conn, name, vlanMark)
}

// madeVLAN says whether pipework made the interface.
func madeVLAN(l *rtnl.Link) bool {
	return l.Kind == "vlan" && (l.Alias == vlanMark || l.Unfinished())
}

// releaseVLAN removes the VLAN interface if it is ours and nobody uses it.
func releaseVLAN(ctx context.Context, h Host, name string, ours func(*rtnl.Link) bool) error {
	v, err := rtnl.LinkByName(ctx, h.Conn, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !ours(v) {
		return err
	}
	return whenUnused(ctx, h, v, func() error { return rtnl.DelLink(ctx, h.Conn, name) })
}
