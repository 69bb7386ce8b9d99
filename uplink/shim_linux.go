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
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/hostaddr"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// shimMark is the ifalias of a shim.
const shimMark = "pipework shim"

// A shimJob is one call.
type shimJob struct {
	Shim
	mover
	done *Shimmed
}

// open calls f while others wait who are at work on the shim.
func (s Shim) open(ctx context.Context, f func(*shimJob) error) (*Shimmed, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	done := &Shimmed{NIC: s.NIC, Interface: ShimName(s.NIC), Addrs: []netip.Prefix{}, Guests: []netip.Addr{}}
	err := onhost.Do(ctx, s.Host, func(h link.Host) error {
		unlock, err := s.Store.LockNote(ctx, s.note())
		if err != nil {
			return err
		}
		defer unlock()
		return f(&shimJob{s, mover{h}, done})
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

func (s Shim) validate() error {
	wrong := []error{link.ValidName(s.NIC)}
	if s.Store == nil {
		wrong = append(wrong, errors.New("no store to record the shim in"))
	}
	for _, a := range s.Addrs {
		if !a.IsValid() || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			wrong = append(wrong, fmt.Errorf("%v is no address with a prefix length", a))
			continue
		}
		wrong = append(wrong, hostaddr.In(a))
	}
	if err := errs.Join(wrong...); err != nil {
		return errs.New(fs.ErrInvalid, "%w", err)
	}
	return nil
}

func (s Shim) add(ctx context.Context) (*Shimmed, error) {
	if len(s.Addrs) == 0 {
		return nil, errs.New(fs.ErrInvalid, "a shim needs an address, such as 192.168.1.5/24")
	}
	return s.open(ctx, func(j *shimJob) error {
		old, err := j.read()
		if err != nil {
			return err
		}
		if err := j.refused(ctx); err != nil {
			return err
		}
		r := &shimRecord{}
		if old != nil {
			r.Addrs = slices.Clone(old.Addrs)
		}
		for _, a := range s.Addrs {
			if !slices.Contains(r.Addrs, a) {
				r.Addrs = append(r.Addrs, a)
			}
		}
		err = j.write(ctx, r)
		if err == nil {
			err = j.bring(ctx, r)
		}
		if err == nil || fault.Killed(ctx) {
			return err
		}
		late, cancel := context.WithTimeout(fault.Off(ctx), undoTime)
		defer cancel()
		return errs.Join(fmt.Errorf("shim of %s: %w", j.NIC, err), j.revert(late, old))
	})
}

// revert makes the shim what it was by the record old, nil: there was none.
func (j *shimJob) revert(ctx context.Context, old *shimRecord) error {
	if old == nil {
		return errs.Join(j.delete(ctx), j.write(ctx, nil))
	}
	return errs.Join(j.write(ctx, old), j.withdraw(ctx, old))
}

// withdraw takes from the interface the addresses of the call that the record does not have.
func (j *shimJob) withdraw(ctx context.Context, r *shimRecord) error {
	l, err := j.find(ctx)
	if l == nil || err != nil {
		return err
	}
	for _, a := range j.Addrs {
		if !slices.Contains(r.Addrs, a) {
			if err := rtnl.DelAddr(ctx, j.host.Conn, l.Index, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Shim) remove(ctx context.Context) (*Shimmed, error) {
	return s.open(ctx, func(j *shimJob) error {
		old, err := j.read()
		if err != nil {
			return err
		}
		left, err := j.without(ctx, old)
		if err != nil {
			return err
		}
		late, end := finish.Context(ctx) // what has begun is finished
		defer end()
		if left == nil {
			return errs.Join(j.delete(late), j.write(late, nil))
		}
		if err := j.write(late, left); err != nil && !errs.IsUnwritable(err) {
			return err
		}
		if err := j.withdraw(late, left); err != nil {
			return err
		}
		if _, err := j.nic(late); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return j.bring(late, left)
	})
}

// without is the record without the addresses of the call; nil where none is left.
func (j *shimJob) without(ctx context.Context, r *shimRecord) (*shimRecord, error) {
	if r == nil {
		l, err := j.find(ctx)
		if err != nil {
			return nil, err
		}
		if l == nil || len(j.Addrs) > 0 {
			return nil, errs.New(fs.ErrNotExist, "%s has no shim, as far as is recorded in %s: nothing to undo", j.NIC, j.Store.Dir())
		}
		return nil, nil // its record was lost
	}
	if len(j.Addrs) == 0 {
		return nil, nil
	}
	left := &shimRecord{Addrs: slices.Clone(r.Addrs)}
	for _, a := range j.Addrs {
		i := slices.Index(left.Addrs, a)
		if i < 0 {
			return nil, errs.New(fs.ErrNotExist, "the shim of %s has no address %s: it has%s", j.NIC, a, addrList(r.Addrs))
		}
		left.Addrs = slices.Delete(left.Addrs, i, i+1)
	}
	if len(left.Addrs) == 0 {
		return nil, nil
	}
	return left, nil
}

func addrList(all []netip.Prefix) (text string) {
	for _, a := range all {
		text += " " + a.String()
	}
	return text
}

func follow(ctx context.Context, store *keep.Store, host *ns.Handle) error {
	all, err := shimRecords(store)
	failed := []error{err}
	for _, r := range all {
		failed = append(failed, Shim{NIC: r.NIC, Store: store, Host: host}.again(ctx))
	}
	return errs.Join(failed...)
}

// again makes the shim what its record says.
func (s Shim) again(ctx context.Context) error {
	_, err := s.open(ctx, func(j *shimJob) error {
		b, err := j.Store.Note(j.note())
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		r, err := readShim(b)
		if err != nil || !j.isHere(r) {
			return err
		}
		if _, err := j.nic(ctx); errors.Is(err, fs.ErrNotExist) {
			return nil // it may come, or come home
		}
		if r.Boot != ns.BootID() {
			if err := j.write(ctx, r); err != nil && !errs.IsUnwritable(err) {
				return err
			}
		}
		if err := j.bring(ctx, r); err != nil {
			return fmt.Errorf("shim of %s: %w", s.NIC, err)
		}
		return nil
	})
	return err
}

// nic is the NIC.
func (j *shimJob) nic(ctx context.Context) (*rtnl.Link, error) {
	return rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
}

// refused says why the NIC cannot have a shim, or not with these addresses.
func (j *shimJob) refused(ctx context.Context) error {
	nic, err := j.nic(ctx)
	if err != nil {
		return fmt.Errorf("%w that could have a shim: see `ip link`", err)
	}
	switch {
	case nic.Type != unix.ARPHRD_ETHER || len(nic.MAC) != 6:
		return errs.New(fs.ErrInvalid, "%s is no Ethernet interface, and macvlan needs one", nic.Name)
	case nic.Alias == shimMark:
		return errs.New(fs.ErrInvalid, "%s is itself a shim: name the NIC that it stands on", nic.Name)
	case !nic.Up:
		return errs.New(fs.ErrInvalid, "%s is down: ip link set %s up", nic.Name, nic.Name)
	}
	if err := elsewhere(j.Store, j.NIC, ShimName(j.NIC), j.host.Conn.Cookie()); err != nil {
		return err
	}
	if err := j.refusedGuests(); err != nil {
		return err
	}
	all, err := rtnl.Addrs(ctx, j.host.Conn, 0)
	if err != nil {
		return err
	}
	own, err := j.find(ctx)
	if err != nil {
		return err
	}
	for _, have := range all {
		if own != nil && have.Index == own.Index {
			continue
		}
		if slices.ContainsFunc(j.Addrs, func(a netip.Prefix) bool { return a.Addr() == have.Prefix.Addr() }) {
			return errs.New(fs.ErrExist, "the host has the address %s already, on another interface: give the shim one of its own, which no other host has", have.Prefix.Addr())
		}
	}
	return nil
}

// refusedGuests refuses an address that a guest on the NIC has by its record.
func (j *shimJob) refusedGuests() error {
	records, _, err := j.Store.All()
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Attachment == nil || !standsOn(rec.Attachment.Link, j.NIC) {
			continue
		}
		for _, p := range rec.Attachment.Addrs {
			if slices.ContainsFunc(j.Addrs, func(a netip.Prefix) bool { return a.Addr() == p.Addr() }) {
				return errs.New(fs.ErrExist, "the guest %s has the address %s: give the shim one of its own, which no other host has", rec.Guest, p.Addr())
			}
		}
	}
	return nil
}

// find is the shim's interface, finished or not; nil where there is none.
func (j *shimJob) find(ctx context.Context) (*rtnl.Link, error) {
	l, err := rtnl.LinkByName(ctx, j.host.Conn, ShimName(j.NIC))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case l.Kind == "macvlan" && l.Alias == link.UplinkMark:
		return nil, errs.New(fs.ErrExist, "%s has taken over what %s has: guests reach the host by that; or pipework shim --undo %s first", l.Name, j.NIC, j.NIC)
	case l.Kind != "macvlan", l.Alias != shimMark && !l.Unfinished():
		return nil, errs.New(fs.ErrExist, "%s is an interface that pipework did not make: ip link set %s name ANOTHER", l.Name, l.Name)
	}
	return l, nil
}

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
