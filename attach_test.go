//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// spec reads prefixes as addresses and addresses as gateways.
func spec(name, bridge string, words ...string) pipework.Spec {
	s := pipework.Spec{Name: name, Link: link.Bridge{Name: bridge}}
	for _, w := range words {
		if p, err := netip.ParsePrefix(w); err == nil {
			s.Addrs = append(s.Addrs, p)
		} else {
			s.Gateways = append(s.Gateways, netip.MustParseAddr(w))
		}
	}
	return s
}

func attach(t *testing.T, to pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	at, err := pipework.Attach(t.Context(), to, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func detach(t *testing.T, from pipework.Target, s pipework.Spec) {
	t.Helper()
	if _, err := pipework.Detach(t.Context(), from, s); err != nil {
		t.Error(err)
	}
}

// handle opens a netlink handle in the guest, or on the host for nil, for the
// length of the test.
func handle(t *testing.T, g *ns.Guest) *netlink.Handle {
	t.Helper()
	h := open(t, g)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func open(t *testing.T, g *ns.Guest) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if g != nil {
		_ = h.Close()
		h, err = netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func defaults(t *testing.T, g *ns.Guest) (gateways []string) {
	t.Helper()
	h := open(t, g)
	defer func() { _ = h.Close() }()
	routes, err := nstest.Whole(func() ([]netlink.Route, error) { return h.RouteList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if ones, _ := r.Dst.Mask.Size(); ones == 0 && r.Gw != nil {
			gateways = append(gateways, r.Gw.String())
		}
	}
	slices.Sort(gateways)
	return gateways
}

// TestStackedDefaults plugs in two interfaces that each bring a default gateway,
// and unplugs them in either order: what was there first comes back last.
func TestStackedDefaults(t *testing.T) {
	first, second := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1"), spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1")
	for name, test := range map[string]struct {
		order   []pipework.Spec
		between []string
	}{
		"last in, first out":  {[]pipework.Spec{second, first}, []string{"10.1.0.1", "fd20::1"}},
		"first in, first out": {[]pipework.Spec{first, second}, []string{"10.2.0.1", "fd20::1"}},
	} {
		t.Run(name, func(t *testing.T) {
			target, g := nstest.Guest(t)
			nstest.Uplink(t, g)
			world := nstest.Observe(t, g.Handle)
			attach(t, target, first)
			at := attach(t, target, second)
			if want := []string{"default via 10.1.0.1"}; !slices.Equal(at.Displaced, want) {
				t.Errorf("the second displaced %q, want %q", at.Displaced, want)
			}
			detach(t, target, test.order[0])
			if got := defaults(t, g); !slices.Equal(got, test.between) {
				t.Errorf("default gateways with one left: %q, want %q", got, test.between)
			}
			detach(t, target, test.order[1])
			world.Unchanged(t)
		})
	}
}

// TestDefaultChosenByHand leaves a default route alone that somebody set after
// the attach.
func TestDefaultChosenByHand(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	attach(t, target, spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1"))
	h := handle(t, g)
	eth0, err := h.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.RouteReplace(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.ParseIP("172.20.0.77")}); err != nil {
		t.Fatal(err)
	}
	detach(t, target, pipework.Spec{})
	if got, want := defaults(t, g), []string{"172.20.0.77", "fd20::1"}; !slices.Equal(got, want) {
		t.Errorf("default gateways: %q, want %q", got, want)
	}
}

func TestIPv6Default(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	at := attach(t, target, spec("eth1", "br1", "fd01::2/64", "fe80::1"))
	if got, want := defaults(t, g), []string{"172.20.0.1", "172.20.0.9", "fe80::1"}; !slices.Equal(got, want) {
		t.Errorf("default gateways: %q, want %q", got, want)
	}
	if want := []string{"default via fd20::1 metric 1024"}; !slices.Equal(at.Displaced, want) {
		t.Errorf("displaced %q, want %q", at.Displaced, want)
	}
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestIPv6Off is a container of Docker's, in which IPv6 is off.
func TestIPv6Off(t *testing.T) {
	target, g := nstest.Guest(t)
	err := g.Do(t.Context(), func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	world := nstest.Observe(t, g.Handle)
	at := attach(t, target, spec("eth1", "br1", "fd01::2/64", "fd01::1"))
	if len(at.Warnings) > 0 {
		t.Error(at.Warnings)
	}
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestGuestDies kills the guest: the pair goes with it, the bridge stays until
// somebody detaches, and another process may have the same name again.
func TestGuestDies(t *testing.T) {
	world := nstest.Observe(t)
	p := nstest.Process(t)
	s := spec("eth1", "br1", "10.1.0.2/24")
	at := attach(t, ns.PID(p.PID), s)
	if want := "veth1pl" + at.Guest.Name[len("pid:"):]; at.HostName != want {
		t.Errorf("host end %s, want the classic name %s", at.HostName, want)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if _, err := pipework.Attach(t.Context(), ns.PID(p.PID), s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("attach to a dead process: %v", err)
	}
	testwait.Eventually(t, "the host's end is gone", func() bool { return !exists(at.HostName) })
	detach(t, ns.PID(p.PID), s)
	world.Unchanged(t)
}

// TestHostEndsName gives two guests the same name for the host's end.
func TestHostEndsName(t *testing.T) {
	one, _ := nstest.Guest(t)
	two, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.2/24")
	s.Link = link.Bridge{Name: "br1", HostName: "web"}
	attach(t, one, s)
	world := nstest.Observe(t, g.Handle)
	if _, err := pipework.Attach(t.Context(), two, s); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "web already") {
		t.Errorf("a host end's name in use: %v", err)
	}
	world.Unchanged(t)
	detach(t, one, s)
}

// TestBridgeStays keeps a bridge that pipework made as long as it is used: by
// another guest, or by an address that somebody gave it.
func TestBridgeStays(t *testing.T) {
	one, _ := nstest.Guest(t)
	two, _ := nstest.Guest(t)
	s := spec("", "br1", "10.1.0.2/24")
	attach(t, one, s)
	h := handle(t, nil)
	br, err := h.LinkByName("br1")
	if err != nil {
		t.Fatal(err)
	}
	mac := br.Attrs().HardwareAddr.String()
	attach(t, two, spec("", "br1", "10.1.0.3/24"))
	detach(t, one, s)
	if br, err = h.LinkByName("br1"); err != nil {
		t.Fatalf("the bridge went with a guest while another was there: %v", err)
	}
	if now := br.Attrs().HardwareAddr.String(); now != mac {
		t.Errorf("the bridge's MAC changed from %s to %s", mac, now)
	}
	addr, err := netlink.ParseAddr("10.1.0.254/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.AddrAdd(br, addr); err != nil {
		t.Fatal(err)
	}
	detach(t, two, pipework.Spec{})
	if _, err := h.LinkByName("br1"); err != nil {
		t.Fatalf("the bridge went although it has an address: %v", err)
	}
	if err := h.AddrDel(br, addr); err != nil {
		t.Fatal(err)
	}
	detach(t, two, spec("", "br1"))
	if _, err := h.LinkByName("br1"); err == nil {
		t.Error("the bridge stays although nobody uses it")
	}
}

// TestMTU takes the bridge's, unless told otherwise.
func TestMTU(t *testing.T) {
	br := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	if err := handle(t, nil).LinkSetMTU(br, 1400); err != nil {
		t.Fatal(err)
	}
	target, _ := nstest.Guest(t)
	if at := attach(t, target, spec("eth1", "lan")); at.MTU != 1400 {
		t.Errorf("MTU %d, the bridge has 1400", at.MTU)
	}
	s := spec("eth2", "lan")
	s.MTU = 1300
	at := attach(t, target, s)
	if at.MTU != 1300 {
		t.Errorf("MTU %d, asked for 1300", at.MTU)
	}
	h := handle(t, nil)
	l, err := h.LinkByName(at.HostName)
	if err == nil {
		err = h.LinkSetMTU(l, 1200) // by which the bridge has it, too
	}
	if err != nil {
		t.Fatal(err)
	}
	want := "MTU of " + at.HostName + " is 1200 instead of 1300"
	if at, err := pipework.Check(t.Context(), target, s); err != nil || !slices.Equal(at.Drifts, []string{want}) {
		t.Errorf("%+v, %v, want the drift %q", at, err, want)
	}
	if at := attach(t, target, s); !slices.Equal(at.Mended, []string{want}) {
		t.Errorf("mended %q, want %q", at.Mended, want)
	}
	if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) > 0 {
		t.Errorf("%+v, %v after mending", at, err)
	}
	detach(t, target, spec("eth1", "lan"))
	detach(t, target, spec("eth2", "lan"))
}

// TestBridgeKeepsItsMTU has guests with a lower one than the bridge: below 1280 bytes the host
// would lose the bridge's IPv6 addresses for good.
func TestBridgeKeepsItsMTU(t *testing.T) {
	h := handle(t, nil)
	br := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("fd00::1"), Mask: net.CIDRMask(64, 128)}}
	if err := errors.Join(h.LinkSetUp(br), h.AddrAdd(br, addr)); err != nil {
		t.Fatal(err)
	}
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	keeps := func(name string, want int) {
		t.Helper()
		l, err := h.LinkByName(name)
		if err != nil || l.Attrs().MTU != want {
			t.Errorf("%s: %+v, %v; want MTU %d", name, l, err, want)
		}
		if addrs, err := h.AddrList(br, netlink.FAMILY_V6); err != nil || !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Equal(*addr) }) {
			t.Errorf("addresses of the bridge: %v, %v", addrs, err)
		}
	}
	low := spec("eth1", "lan")
	low.MTU = 600
	if at := attach(t, target, low); at.MTU != 600 {
		t.Errorf("MTU %d", at.MTU)
	}
	keeps("lan", 1500)
	for _, mtu := range []int{700, 9000, 1200} {
		low.MTU = mtu
		if at := update(t, target, low); at.MTU != mtu {
			t.Errorf("MTU %d, want %d", at.MTU, mtu)
		}
		if at, err := pipework.Check(t.Context(), target, low); err != nil || len(at.Drifts) > 0 || at.MTU != mtu {
			t.Errorf("checked: %+v, %v", at, err)
		}
	}
	keeps("lan", 9000) // which the kernel has it have, and the one port can do
	detach(t, target, low)

	made := spec("eth1", "br1")
	made.MTU = 600
	attach(t, target, made)
	keeps("br1", 1500)
	detach(t, target, made)
	if err := h.LinkSetMTU(br, 1500); err != nil {
		t.Fatal(err)
	}
	world.Unchanged(t)
}

// TestNeighboursLearn puts an address on another guest: its neighbours must know
// at once, though their own entries are fresh.
func TestNeighboursLearn(t *testing.T) {
	old, _ := nstest.Guest(t)
	now, gn := nstest.Guest(t)
	watcher, gw := nstest.Guest(t)
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	attach(t, watcher, spec("eth1", "lan", "10.1.0.9/24", "fd01::9/64"))
	moving := spec("eth1", "lan", "10.1.0.2/24", "fd01::2/64")
	attach(t, old, moving)
	nstest.Ping(t, gw.Handle, "10.1.0.2")
	nstest.Ping(t, gw.Handle, "fd01::2")
	detach(t, old, moving)
	at := attach(t, now, moving)
	h := handle(t, gw)
	testwait.Eventually(t, "the neighbours know the new MAC", func() bool {
		neighbours, err := nstest.Whole(func() ([]netlink.Neigh, error) { return h.NeighList(0, netlink.FAMILY_ALL) })
		if err != nil {
			t.Fatal(err)
		}
		known := 0
		for _, n := range neighbours {
			if n.HardwareAddr.String() == at.MAC.String() && slices.Contains([]string{"10.1.0.2", "fd01::2"}, n.IP.String()) {
				known++
			}
		}
		return known == 2
	})
	_ = gn
	detach(t, now, moving)
	detach(t, watcher, spec("eth1", "lan"))
}

// TestDuplicateIPv6 has an address that another node has already: that is told,
// and not waited for.
func TestDuplicateIPv6(t *testing.T) {
	one, _ := nstest.Guest(t)
	two, _ := nstest.Guest(t)
	s := spec("", "br1", "fd01::2/64")
	attach(t, one, s)
	at := attach(t, two, s)
	if len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "another node has fd01::2 already") {
		t.Errorf("warnings: %q", at.Warnings)
	}
	drifts := func(want string) {
		t.Helper()
		at, err := pipework.Check(t.Context(), two, s)
		if err != nil || strings.Join(at.Drifts, "") != want {
			t.Errorf("check: %+v, %v, want %q", at, err, want)
		}
		all, err := pipework.List(t.Context(), two)
		if err != nil || len(all) != 1 || strings.Join(all[0].Drifts, "") != want {
			t.Errorf("list: %+v, %v, want %q", all, err, want)
		}
	}
	drifts("address fd01::2/64 is not in use, because another node has it (duplicate address detection failed)")
	detach(t, one, s)
	if at := attach(t, two, s); len(at.Mended) != 1 || len(at.Warnings) > 0 {
		t.Errorf("attach again: %+v", at)
	}
	drifts("")
	detach(t, two, s)
}

func TestHostsOwnNetwork(t *testing.T) {
	world := nstest.Observe(t)
	s := spec("", "br1", "10.1.0.2/24")
	self := ns.PID(os.Getpid())
	if _, err := pipework.Attach(t.Context(), self, s); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the host as a guest: %v", err)
	}
	world.Unchanged(t)
	s.AllowHost = true
	attach(t, self, s)
	detach(t, self, s)
	world.Unchanged(t)
}

func TestSomebodyElsesInterface(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	if _, err := pipework.Attach(t.Context(), target, spec("eth0", "br1", "10.1.0.2/24")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("attach: %v", err)
	}
	if _, err := pipework.Detach(t.Context(), target, spec("eth0", "br1")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("detach: %v", err)
	}
	if _, err := pipework.Check(t.Context(), target, spec("eth7", "br1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("check: %v", err)
	}
	world.Unchanged(t)
}

func TestList(t *testing.T) {
	one, _ := nstest.Guest(t)
	p := nstest.Process(t)
	a := attach(t, one, spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1"))
	b := attach(t, ns.PID(p.PID), spec("eth1", "br1", "10.1.0.3/24"))
	list, err := pipework.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(x, y *pipework.Attachment) int { return strings.Compare(x.Addrs[0].String(), y.Addrs[0].String()) })
	for _, at := range append([]*pipework.Attachment{a, b}, list...) {
		at.Namespace = nil
	}
	if diff := cmp.Diff([]*pipework.Attachment{a, b}, list, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("list (-attached +listed):\n%s", diff)
	}
	if err := handle(t, nil).LinkSetDown(&netlink.Dummy{LinkAttrs: linkAttrs(t, b.HostName)}); err != nil {
		t.Fatal(err)
	}
	list, err = pipework.List(t.Context(), ns.PID(p.PID))
	if err != nil || len(list) != 1 || len(list[0].Drifts) != 1 {
		t.Errorf("list of one with its host end down: %+v, %v", list, err)
	}
	_, err = pipework.List(t.Context(), ns.Named("nosuch"))
	if e, is := errors.AsType[*pipework.Error](err); !is || e.Interface != "" || !strings.HasPrefix(err.Error(), "list: no network namespace") {
		t.Errorf("list of none: %v", err)
	}
	detach(t, one, pipework.Spec{})
	detach(t, ns.PID(p.PID), pipework.Spec{})
}

func linkAttrs(t *testing.T, name string) netlink.LinkAttrs {
	t.Helper()
	l, err := handle(t, nil).LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return *l.Attrs()
}

// TestHostElsewhere works on a host that is not the calling thread's.
func TestHostElsewhere(t *testing.T) {
	_, host := nstest.Guest(t)
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, host.Handle, g.Handle)
	a := pipework.Attacher{Host: host.Handle}
	at, err := a.Attach(t.Context(), target, spec("", "br1", "10.1.0.2/24", "10.1.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, host)
	if _, err := h.LinkByName(at.HostName); err != nil {
		t.Errorf("the host's end is not there: %v", err)
	}
	_ = h.Close()
	if _, err := a.Detach(t.Context(), target, pipework.Spec{}); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// TestDeadline ends while Attach waits for duplicate address detection.
func TestDeadline(t *testing.T) {
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := pipework.Attach(ctx, target, spec("", "br1", "fd01::2/64"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("attach: %v", err)
	}
	world.Unchanged(t)
}

// TestDefaultMAC is what a new interface gets, and what an existing one need not
// have: the same Spec with another one, or none, is the same.
func TestDefaultMAC(t *testing.T) {
	guest, _ := nstest.Guest(t)
	s := spec("eth1", "br1", "10.0.0.1/24")
	s.DefaultMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	at := attach(t, guest, s)
	if at.MAC.String() != s.DefaultMAC.String() {
		t.Errorf("MAC %s", at.MAC)
	}
	s.DefaultMAC = nil
	if again := attach(t, guest, s); !again.Existed || len(again.Mended) > 0 || again.MAC.String() != at.MAC.String() {
		t.Errorf("attached again: %+v", again)
	}
	detach(t, guest, s)
	s.DefaultMAC = net.HardwareAddr{3, 0, 0, 0, 0, 9}
	if _, err := pipework.Attach(t.Context(), guest, s); !errors.Is(err, fs.ErrInvalid) {
		t.Error("a multicast address:", err)
	}
}
