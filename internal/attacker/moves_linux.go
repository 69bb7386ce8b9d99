package attacker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A move is one thing that the root of a guest can do.
type move struct {
	name string
	do   func(*attacker) error
}

var errNothing = errors.New("there is nothing to do it with")

var moves = []move{
	{"forge a mark", (*attacker).forge},
	{"copy a mark", (*attacker).copyMark},
	{"make a pair with a mark", (*attacker).twin},
	{"rename", (*attacker).rename},
	{"delete", (*attacker).delete},
	{"delete and make again", (*attacker).again},
	{"move on and back", (*attacker).moveOn},
	{"set down or up", (*attacker).toggle},
	{"change MAC and MTU", (*attacker).change},
	{"altnames", (*attacker).altNames},
	{"crowd of links", (*attacker).crowd},
	{"lock", (*attacker).lock},
	{"addresses", (*attacker).addresses},
	{"routes", (*attacker).routes},
	{"displaced routes and notes", (*attacker).notes},
	{"delete routes", (*attacker).flush},
	{"rules", (*attacker).rules},
	{"qdiscs", (*attacker).qdiscs},
	{"sysctls", (*attacker).sysctls},
	{"router advertisements", (*attacker).advertise},
	{"neighbour advertisements", (*attacker).neighbours},
	{"gratuitous ARP", (*attacker).gratuitous},
	{"flood of MACs", (*attacker).flood},
}

// pick is one of them by chance; the zero value of none.
func pick[T any](a *attacker, from []T) (one T) {
	if len(from) > 0 {
		one = from[a.IntN(len(from))]
	}
	return one
}

// links are those of the guest, but loopback.
func (a *attacker) links() []netlink.Link {
	all, _ := a.LinkList()
	return slices.DeleteFunc(all, func(l netlink.Link) bool { return l.Attrs().Name == "lo" })
}

// any is one of the links, more often one to the host.
func (a *attacker) any() (netlink.Link, error) {
	if a.IntN(2) == 0 {
		return a.wire()
	}
	if l := pick(a, a.links()); l != nil {
		return l, nil
	}
	return nil, errNothing
}

// wire is a link to the host, where there is one.
func (a *attacker) wire() (netlink.Link, error) {
	all := a.links()
	for _, l := range all {
		if l.Attrs().NetNsID >= 0 || l.Type() == "macvlan" {
			return l, nil
		}
	}
	if l := pick(a, all); l != nil {
		return l, nil
	}
	return nil, errNothing
}

// up is a link that frames and routes can be sent by.
func (a *attacker) up() (netlink.Link, error) {
	l, err := a.any()
	if err == nil {
		err = a.LinkSetUp(l)
	}
	return l, err
}

// called is a name that means something to the host.
func (a *attacker) called() string {
	return pick(a, []string{"eth1", "eth2", "br1", "br2", "nic0", "hidden", "lan", "\x1b]0;P\x07x", "a;reboot", "eth1.100", "veth0"})
}

// mark is a forged one.
func (a *attacker) mark() string {
	link := pick(a, []string{"bridge:br1", "bridge:br2", "phys:nic0", "phys:lo", "macvlan:nic0", "veth", "veth:lo", "vlan:nic0@7", "ovs:ovs0", "dummy", "\x1b[2J", "bridge:../../x", "ipoib:ib0"})
	m := fmt.Sprintf("pipework link=%s interface=%s spec=%x", link, pick(a, []string{"eth1", "eth2", "lan", ""}), a.Uint64())
	if a.IntN(2) == 0 {
		m += fmt.Sprintf(" nspid=%d containername=%s lease=%s was=nic0~020000000001~1500~up~~10.0.0.2-24", a.IntN(1<<20), pick(a, []string{"web", "db", "\x1b]0;P\x07x", "%0a"}), pick(a, []string{"10.0.0.9", "x", strings.Repeat("9", 80)}))
	}
	if a.IntN(4) == 0 { // what the kernel takes at most
		m += strings.Repeat("x", 255)
	}
	return m[:min(len(m), 255)]
}

func (a *attacker) forge() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	return a.LinkSetAlias(l, a.mark())
}

// seen are the marks of its own links, and those that it knows.
func (a *attacker) seen() (all []string) {
	for _, l := range a.links() {
		if l.Attrs().Alias != "" {
			all = append(all, l.Attrs().Alias)
		}
	}
	return append(all, a.Marks...)
}

func (a *attacker) copyMark() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	return a.LinkSetAlias(l, pick(a, a.seen()))
}

// twin makes a pair whose end has a name, an index and a mark that mean something to the host.
func (a *attacker) twin() error {
	attrs := netlink.NewLinkAttrs()
	a.made++
	attrs.Name = fmt.Sprintf("t%d", a.made)
	if a.IntN(2) == 0 {
		attrs.Index = pick(a, a.Indexes)
	}
	peer := pick(a, []string{"eth1", "eth2", fmt.Sprintf("u%d", a.made)})
	err := a.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer})
	if err != nil {
		return err
	}
	l, err := a.LinkByName(peer)
	if err != nil {
		return err
	}
	return errors.Join(a.LinkSetAlias(l, pick(a, a.seen())), a.LinkSetUp(l))
}

func (a *attacker) rename() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	return errors.Join(a.LinkSetDown(l), a.LinkSetName(l, a.called()), a.LinkSetUp(l))
}

// deletable says that it is not, as hardware, what nobody can delete.
func (a *attacker) deletable(l netlink.Link) bool {
	at := l.Attrs()
	return at.NetNsID < 0 || !slices.Contains(a.Hardware, at.ParentIndex)
}

func (a *attacker) delete() error {
	l, err := a.any()
	if err != nil || !a.deletable(l) {
		return errNothing
	}
	return a.LinkDel(l)
}

func (a *attacker) again() error {
	l, err := a.wire()
	if err != nil || !a.deletable(l) {
		return errNothing
	}
	at := netlink.NewLinkAttrs()
	at.Name, at.Index, at.HardwareAddr = l.Attrs().Name, l.Attrs().Index, l.Attrs().HardwareAddr
	if err := a.LinkDel(l); err != nil {
		return err
	}
	a.made++
	if err := a.LinkAdd(&netlink.Veth{LinkAttrs: at, PeerName: fmt.Sprintf("a%d", a.made)}); err != nil {
		return err
	}
	made, err := a.LinkByIndex(at.Index)
	if err != nil {
		return err
	}
	return errors.Join(a.LinkSetName(made, at.Name), a.LinkSetAlias(made, l.Attrs().Alias), a.LinkSetUp(made))
}

// moveOn moves a link into another namespace, and back under another name.
func (a *attacker) moveOn() error {
	if back, _ := a.other.LinkList(); len(back) > 1 && a.IntN(2) == 0 {
		self, err := os.Open("/proc/self/ns/net")
		if err != nil {
			return err
		}
		defer func() { _ = self.Close() }()
		for _, l := range back {
			if l.Attrs().Name != "lo" {
				err = errors.Join(err, a.other.LinkSetNsFd(l, int(self.Fd())))
			}
		}
		return err
	}
	l, err := a.any()
	if err != nil {
		return err
	}
	return a.LinkSetNsFd(l, int(a.ns))
}

func (a *attacker) toggle() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	if a.IntN(2) == 0 {
		return a.LinkSetDown(l)
	}
	return a.LinkSetUp(l)
}

func (a *attacker) change() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	return errors.Join(
		a.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0, 0, byte(a.IntN(256)), byte(a.IntN(256)), byte(a.IntN(256))}),
		a.LinkSetMTU(l, 1280+a.IntN(700)), a.LinkSetGroup(l, pick(a, []int{0, 7, 0x7077726b})), a.LinkSetTxQLen(l, a.IntN(100)))
}

func (a *attacker) altNames() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	for range 20 {
		if err := a.LinkAddAltName(l, fmt.Sprintf("%s%d", pick(a, []string{"nic0", "wire", "\x1b[31m", strings.Repeat("n", 100)}), a.IntN(1000))); err != nil {
			return err
		}
	}
	return a.LinkAddAltName(l, "wire")
}

// crowd makes many links, or removes those that it has made.
func (a *attacker) crowd() error {
	all := a.links()
	if len(all) > 60 {
		for _, l := range all {
			if l.Attrs().NetNsID < 0 && l.Type() == "veth" {
				_ = a.LinkDel(l)
			}
		}
		return nil
	}
	for range 20 {
		a.made++
		at := netlink.NewLinkAttrs()
		at.Name, at.Alias = fmt.Sprintf("c%d", a.made), a.mark()
		if err := a.LinkAdd(&netlink.Veth{LinkAttrs: at, PeerName: fmt.Sprintf("d%d", a.made)}); err != nil {
			return err
		}
	}
	return nil
}

// lock holds the lock that callers without root take on a namespace.
func (a *attacker) lock() error {
	f, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer time.AfterFunc(300*time.Millisecond, func() { _ = f.Close() })
	return syscall.Flock(int(f.Fd()), pick(a, []int{syscall.LOCK_EX, syscall.LOCK_SH})|syscall.LOCK_NB)
}

func (a *attacker) addresses() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	for range 20 {
		text := fmt.Sprintf("10.66.%d.%d/24", a.IntN(256), 1+a.IntN(254))
		if other := pick(a, a.Addrs); other != "" && a.IntN(2) == 0 {
			text = other + pick(a, []string{"/24", "/32"})
			if strings.Contains(other, ":") {
				text = other + "/64"
			}
		}
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := a.AddrReplace(l, addr); err != nil {
			return err
		}
	}
	if addrs, _ := a.AddrList(l, netlink.FAMILY_ALL); len(addrs) > 60 {
		for _, one := range addrs {
			_ = a.AddrDel(l, &one)
		}
	}
	return nil
}

// routes adds many to a link, also such as pipework's own, and in its tables.
func (a *attacker) routes() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	for range 1 + a.IntN(max(1, a.Routes)) {
		r := &netlink.Route{
			LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst:   &net.IPNet{IP: net.IPv4(byte(1+a.IntN(200)), byte(a.IntN(256)), byte(a.IntN(256)), byte(a.IntN(256))).To4(), Mask: net.CIDRMask(32, 32)},
			Table: pick(a, []int{254, 254, 100, 1<<31 + l.Attrs().Index}), Protocol: pick(a, []netlink.RouteProtocol{4, 112, 16, 9}),
		}
		if err := a.RouteAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

// notes writes routes as pipework keeps them in the guest: default routes that were displaced,
// and where the kernel is to learn.
func (a *attacker) notes() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	for range 200 {
		index := pick(a, []int{l.Attrs().Index, 0, a.IntN(1000)})
		r := &netlink.Route{Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}, Table: 1 << 31, Type: unix.RTN_BLACKHOLE, Priority: 1 + a.IntN(5000), Protocol: 112}
		if a.IntN(2) == 0 {
			r = &netlink.Route{LinkIndex: l.Attrs().Index, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Table: 1<<31 + index, Priority: a.IntN(5000), Scope: netlink.SCOPE_LINK, Protocol: pick(a, []netlink.RouteProtocol{4, 112})}
		}
		if err := a.RouteAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

func (a *attacker) flush() error {
	all, err := a.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if len(all) < 5000 && a.IntN(4) != 0 {
		return err
	}
	for _, r := range all {
		_ = a.RouteDel(&r)
	}
	return err
}

func (a *attacker) rules() error {
	if all, _ := a.RuleList(netlink.FAMILY_ALL); len(all) > 200 {
		for _, r := range all {
			_ = a.RuleDel(&r)
		}
		return nil
	}
	for range 20 {
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table = pick(a, []int{netlink.FAMILY_V4, netlink.FAMILY_V6}), a.IntN(40000), 1+a.IntN(1000)
		r.Protocol = pick(a, []uint8{0, 112})
		if err := a.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

func (a *attacker) qdiscs() error {
	l, err := a.any()
	if err != nil {
		return err
	}
	return a.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(pick(a, []uint16{0x7074, 0x706e, 1}), 0), Parent: netlink.HANDLE_ROOT},
		Rate:       1 << 20, Limit: 1 << 20, Buffer: 1 << 16,
	})
}

func (a *attacker) sysctls() error {
	name := "all"
	if l := pick(a, a.links()); l != nil && a.IntN(3) > 0 {
		name = l.Attrs().Name
	}
	path := pick(a, []string{
		"ipv6/conf/%s/accept_ra", "ipv6/conf/%s/accept_ra_defrtr", "ipv6/conf/%s/disable_ipv6", "ipv6/conf/%s/autoconf", "ipv6/conf/%s/forwarding",
		"ipv6/conf/%s/addr_gen_mode", "ipv6/conf/%s/optimistic_dad", "ipv4/conf/%s/arp_ignore", "ipv4/conf/%s/rp_filter", "ipv4/conf/%s/promote_secondaries", "ipv4/conf/%s/arp_accept",
	})
	return os.WriteFile("/proc/sys/net/"+fmt.Sprintf(path, name), []byte(pick(a, []string{"0", "1", "2"})), 0)
}
