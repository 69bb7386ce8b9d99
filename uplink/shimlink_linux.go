package uplink

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/hostaddr"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// This file makes the interface of a shim, and the routes to its guests.

// delete removes the interface, and its routes with it.
func (j *shimJob) delete(ctx context.Context) error {
	l, err := j.find(ctx)
	if l == nil || err != nil {
		return err
	}
	return rtnl.DelLinkByIndex(ctx, j.host.Conn, l.Index)
}

// bring makes the interface what the record says, with routes to the guests of now.
func (j *shimJob) bring(ctx context.Context, r *shimRecord) error {
	nic, err := j.nic(ctx)
	if err != nil {
		return err
	}
	l, err := j.find(ctx)
	if err != nil {
		return err
	}
	if l != nil && (l.Unfinished() || l.Foreign || l.Parent != nic.Index) {
		if err := rtnl.DelLinkByIndex(ctx, j.host.Conn, l.Index); err != nil {
			return err
		}
		l = nil
	}
	if l == nil {
		if l, err = j.make(ctx, nic); err != nil {
			return err
		}
	}
	if !l.Up {
		if err := rtnl.SetLink(ctx, j.host.Conn, l.Name, ""); err != nil {
			return err
		}
	}
	if err := j.address(ctx, r, l); err != nil {
		return err
	}
	j.done.Addrs = r.Addrs
	return j.route(ctx, r, nic, l)
}

// newMacvlan makes a macvlan interface on the NIC, with a MAC that stays the same, down.
func newMacvlan(ctx context.Context, c *ns.Conn, name string, nic *rtnl.Link) error {
	sum := sha256.Sum256(append([]byte(shimMark), nic.MAC...))
	mac := append(net.HardwareAddr{2}, sum[:5]...)
	n := rtnl.NewLink{
		End: rtnl.End{Name: name, MAC: mac}, Kind: "macvlan", Parent: nic.Index,
		Option: rtnl.Option{Type: nl.IFLA_MACVLAN_MODE, Value: nl.Uint32Attr(nl.MACVLAN_MODE_BRIDGE)},
	}
	if err := n.Add(ctx, c); err != nil {
		return refusedMacvlan(nic, err)
	}
	return nil
}

// make makes the interface.
func (j *shimJob) make(ctx context.Context, nic *rtnl.Link) (*rtnl.Link, error) {
	name := ShimName(j.NIC)
	if err := newMacvlan(ctx, j.host.Conn, name, nic); err != nil {
		return nil, err
	}
	if err := j.quiet(ctx, name); err != nil {
		return nil, err
	}
	if err := rtnl.Finish(ctx, j.host.Conn, name, shimMark); err != nil {
		return nil, refusedMacvlan(nic, err)
	}
	return rtnl.LinkByName(ctx, j.host.Conn, name)
}

// refusedMacvlan says what the kernel's error means.
func refusedMacvlan(nic *rtnl.Link, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return errs.New(fs.ErrInvalid, "%s takes no macvlan interface (%w): it is a port of a bridge or bond, or ipvlan interfaces stand on it", nic.Name, err)
	case errors.Is(err, unix.EINVAL):
		return errs.New(fs.ErrInvalid, "%s takes no macvlan interface (%w): perhaps one in mode passthru has it for itself alone", nic.Name, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return errs.New(errors.ErrUnsupported, "this kernel makes no macvlan interfaces (%w): modprobe macvlan (CONFIG_MACVLAN)", err)
	}
	return fmt.Errorf("make a macvlan interface on %s: %w", nic.Name, err)
}

// quiet has the interface hear no routers, and speak to guests alone: it answers only those that
// a route by it leads to (arp_filter), and asks with its own address (arp_announce). Otherwise
// the network would learn its MAC for the NIC's addresses. What the network sends to its address all the same
// is not dropped because the way back is by the NIC (rp_filter).
func (j *shimJob) quiet(ctx context.Context, name string) error {
	if err := j.do(ctx, func() error { return rtnl.IgnoreRouters(ctx, name) }); err != nil {
		return err
	}
	conf := "/proc/sys/net/ipv4/conf/" + name + "/"
	settings := [][2]string{{"arp_filter", "1"}, {"arp_announce", "2"}, {"rp_filter", "2"}}
	for _, s := range settings {
		if err := j.set(ctx, conf+s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

// address gives the interface the addresses that it lacks. The NIC keeps the route to their subnet.
func (j *shimJob) address(ctx context.Context, r *shimRecord, l *rtnl.Link) error {
	have, err := rtnl.Addrs(ctx, j.host.Conn, l.Index)
	if err != nil {
		return err
	}
	var added []netip.Prefix
	for _, a := range r.Addrs {
		if slices.ContainsFunc(have, func(h rtnl.Addr) bool { return h.Prefix == a }) {
			continue
		}
		put := rtnl.Addr{Index: l.Index, Prefix: a, Flags: unix.IFA_F_NOPREFIXROUTE, Valid: rtnl.Forever, Preferred: rtnl.Forever}
		if err := rtnl.PutAddr(ctx, j.host.Conn, put); err != nil {
			return err
		}
		added = append(added, a)
	}
	if len(added) == 0 {
		return nil
	}
	return j.waitUsable(ctx, l)
}

// route has a route lead to each guest, and no others that were made so.
func (j *shimJob) route(ctx context.Context, r *shimRecord, nic, l *rtnl.Link) error {
	guests, err := j.guests(ctx, r, nic)
	if err != nil {
		return err
	}
	j.done.Guests = guests
	there := map[netip.Addr]bool{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		mine, err := rtnl.Routes(ctx, j.host.Conn, family, unix.RT_TABLE_MAIN, func(r rtnl.Route) bool {
			return r.Index == l.Index && r.Protocol() == rtnl.Protocol && r.Dst.IsSingleIP()
		})
		if err != nil {
			return err
		}
		for _, r := range mine {
			if there[r.Dst.Addr()] = true; !slices.Contains(guests, r.Dst.Addr()) {
				if err := r.Delete(ctx, j.host.Conn); err != nil {
					return err
				}
			}
		}
	}
	for _, guest := range guests {
		if there[guest] {
			continue
		}
		to := rtnl.Via(netip.PrefixFrom(guest, guest.BitLen()), netip.Addr{}, l.Index).By(rtnl.Protocol)
		if _, err := to.Append(ctx, j.host.Conn); err != nil {
			return err
		}
	}
	return nil
}

// guests are the addresses of guests on the NIC that the interface is to lead to. What a guest
// declares may draw nothing but what is on this network: no address elsewhere, no router, and
// none of the host's own.
func (j *shimJob) guests(ctx context.Context, r *shimRecord, nic *rtnl.Link) ([]netip.Addr, error) {
	records, damaged, err := j.Store.All()
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		if !errors.Is(d, errors.ErrUnsupported) {
			j.done.Warnings = append(j.done.Warnings, d.Error())
		}
	}
	subnets, taken, err := j.network(ctx, r, nic)
	if err != nil {
		return nil, err
	}
	guests := []netip.Addr{}
	for _, rec := range records {
		if rec.Attachment == nil || !standsOn(rec.Attachment.Link, j.NIC) {
			continue
		}
		for _, p := range rec.Attachment.Addrs {
			a := p.Addr()
			within := func(s netip.Prefix) bool { return s.Contains(a) }
			if !taken[a] && hostaddr.Alone(a) == nil && slices.ContainsFunc(subnets, within) && speaks(r.Addrs, a) && !slices.Contains(guests, a) {
				guests = append(guests, a)
			}
		}
	}
	slices.SortFunc(guests, netip.Addr.Compare)
	return guests, nil
}

// speaks says whether one of the addresses is of the same family.
func speaks(addrs []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(addrs, func(p netip.Prefix) bool { return p.Addr().Is4() == a.Is4() })
}

// standsOn says whether a guest's link, as an Attachment tells it, is a macvlan in mode bridge on
// the NIC, which may be a VLAN of another one by its usual name.
func standsOn(text, nic string) bool {
	parent, ok := strings.CutPrefix(text, "macvlan:")
	return ok && (parent == nic || strings.Replace(parent, "@", ".", 1) == nic)
}

// network is what is on the NIC's network: its subnets, and who is there beside guests: the host
// itself, with all that it has, and routers.
func (j *shimJob) network(ctx context.Context, r *shimRecord, nic *rtnl.Link) (subnets []netip.Prefix, taken map[netip.Addr]bool, err error) {
	for _, a := range r.Addrs {
		subnets = append(subnets, a.Masked())
	}
	taken = map[netip.Addr]bool{}
	all, err := rtnl.Addrs(ctx, j.host.Conn, 0)
	for _, a := range all {
		if taken[a.Prefix.Addr()] = true; a.Index == nic.Index && !a.Prefix.Addr().IsLinkLocalUnicast() {
			subnets = append(subnets, a.Prefix.Masked())
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, failed := rtnl.Routes(ctx, j.host.Conn, family, 0, func(r rtnl.Route) bool { return r.Through(nic.Index) })
		err = errs.Join(err, failed)
		for _, r := range routes {
			for _, h := range r.Hops() {
				taken[h.Gateway] = true
			}
		}
	}
	return subnets, taken, err
}
