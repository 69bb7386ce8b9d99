//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// plug attaches, and fails the test when that fails or warns of anything but a machine that is too
// busy for duplicate address detection.
func plug(t *testing.T, target pipework.Target, b link.Backend, addrs ...string) *pipework.Attachment {
	t.Helper()
	s := pipework.Spec{Link: b}
	for _, a := range addrs {
		s.Addrs = append(s.Addrs, netip.MustParsePrefix(a))
	}
	at, err := pipework.Attach(t.Context(), target, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range at.Warnings {
		if !strings.Contains(text, "duplicate address detection did not end within") {
			t.Errorf("warning: %s", text)
		}
	}
	return at
}

func unplug(t *testing.T, target pipework.Target, b link.Backend) {
	t.Helper()
	if _, err := pipework.Detach(t.Context(), target, pipework.Spec{Link: b}); err != nil {
		t.Error(err)
	}
}

// host opens the host for calls of package link.
func host(t testing.TB) link.Host {
	t.Helper()
	h, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	c, err := ns.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return link.Host{Handle: h, Conn: c}
}

// onHost calls f with a handle of the netlink library in the host's namespace.
func onHost(t testing.TB, f func(h *netlink.Handle)) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	f(h)
}

// exists says whether the host has the interface.
func exists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

// addVLAN makes a VLAN interface as somebody else would.
func addVLAN(t *testing.T, name string, parent *netlink.Veth, id int) {
	t.Helper()
	onHost(t, func(h *netlink.Handle) {
		a := attrs(name)
		a.ParentIndex = parent.Index
		v := &netlink.Vlan{LinkAttrs: a, VlanId: id, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}
		if err := h.LinkAdd(v); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() {
		if exists(name) {
			del(t, name)
		}
	})
}

// A name that the host has for an interface of its own may be given to a
// guest's.
func TestMacvlanNamedLikeOneOfTheHost(t *testing.T) {
	addNIC(t, "nic0")
	addNIC(t, "eth1")
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	plug(t, guest, link.Macvlan{Parent: "nic0"}, "10.1.0.1/24")
	plug(t, guest, link.Macvlan{Parent: "nic0"}, "10.1.0.1/24")
	unplug(t, guest, link.Macvlan{Parent: "nic0"})
	world.Unchanged(t)
}

// The kernel lets go of a dead guest's MAC some time after its death.
func TestMacvlanGetsTheMACOfADeadGuest(t *testing.T) {
	addNIC(t, "nic0")
	s := pipework.Spec{Link: link.Macvlan{Parent: "nic0"}, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}
	for range 10 {
		p := nstest.Process(t)
		if _, err := pipework.Attach(t.Context(), ns.PID(p.PID), s); err != nil {
			t.Fatal(err)
		}
		_ = p.Kill()
	}
	a, _ := nstest.Guest(t)
	b, _ := nstest.Guest(t)
	if _, err := pipework.Attach(t.Context(), a, s); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := pipework.Attach(t.Context(), b, s); !errors.Is(err, unix.EADDRINUSE) || time.Since(start) > testwait.Patience {
		t.Errorf("a MAC in use: %v after %v", err, time.Since(start))
	}
	unplug(t, a, s.Link)
}

func TestPassthru(t *testing.T) {
	nic := addNIC(t, "nic0")
	a, ga := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	world := nstest.Observe(t, ga.Handle, gb.Handle)
	alone := link.Macvlan{Parent: "nic0", Mode: link.MacvlanPassthru}
	at := plug(t, a, alone, "10.1.0.1/24")
	l, err := net.InterfaceByName(nic.Name)
	if err != nil || at.MAC.String() != l.HardwareAddr.String() {
		t.Errorf("MAC %v, the parent's is %v, %v", at.MAC, l, err)
	}
	if again := plug(t, a, alone, "10.1.0.1/24"); !again.Existed || len(again.Mended) > 0 {
		t.Errorf("again: %+v", again)
	}
	_, err = pipework.Attach(t.Context(), b, pipework.Spec{Link: link.Macvlan{Parent: "nic0"}})
	if err == nil || !strings.Contains(err.Error(), "passthru") {
		t.Errorf("a second one on a passthru parent: %v", err)
	}
	unplug(t, a, alone)
	world.Unchanged(t)
}

// A parent that is down is set up, and set down again after a failure unless
// somebody has come to use it.
func TestParentSetUp(t *testing.T) {
	nic := addNIC(t, "nic0")
	down := func() { onHost(t, func(h *netlink.Handle) { must(t, h.LinkSetDown(nic)) }) }
	up := func() bool {
		l, err := net.InterfaceByName("nic0")
		return err == nil && l.Flags&net.FlagUp != 0
	}
	down()
	guest, _ := nstest.Guest(t)
	other, _ := nstest.Guest(t)
	bad := pipework.Spec{Link: failing{link.Macvlan{Parent: "nic0"}, func() {}}}
	if _, err := pipework.Attach(t.Context(), guest, bad); !errors.Is(err, errFailing) || up() {
		t.Errorf("after a failure: %v, up %v", err, up())
	}
	bad.Link = failing{link.Macvlan{Parent: "nic0"}, func() { plug(t, other, link.Macvlan{Parent: "nic0"}) }}
	if _, err := pipework.Attach(t.Context(), guest, bad); !errors.Is(err, errFailing) || !up() {
		t.Errorf("after a failure with another user: %v, up %v", err, up())
	}
	down()
	at, err := pipework.Check(t.Context(), other, pipework.Spec{})
	if err != nil || !slices.Contains(at.Drifts, "nic0 on the host is down") {
		t.Errorf("check: %+v, %v", at, err)
	}
	if again := plug(t, other, link.Macvlan{Parent: "nic0"}); !up() || len(again.Mended) != 1 {
		t.Errorf("mended: %+v, up %v", again, up())
	}
	unplug(t, other, link.Macvlan{Parent: "nic0"})
	if !up() {
		t.Error("the parent was set down")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failing is a backend that fails when everything is made.
type failing struct {
	link.Backend
	before func()
}

var errFailing = errors.New("failing")

func (f failing) MarshalJSON() ([]byte, error) { return []byte(`"failing"`), nil }

func (f failing) Plug(ctx context.Context, p *link.Port, u *link.Undo) error {
	if err := f.Backend.Plug(ctx, p, u); err != nil {
		return err
	}
	f.before()
	return errFailing
}

func TestModeIsMended(t *testing.T) {
	addNIC(t, "nic0")
	guest, g := nstest.Guest(t)
	want := link.Macvlan{Parent: "nic0", Mode: link.MacvlanVEPA}
	at := plug(t, guest, want)
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	must(t, err)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByIndex(at.Index)
	must(t, err)
	if at.Link != "macvlan-vepa:nic0" || l.(*netlink.Macvlan).Mode != netlink.MACVLAN_MODE_VEPA {
		t.Errorf("made %+v, %+v", at, l)
	}
	c, err := g.Conn(t.Context())
	must(t, err)
	defer func() { _ = c.Close() }()
	private := rtnl.Option{Type: nl.IFLA_MACVLAN_MODE, Value: nl.Uint32Attr(nl.MACVLAN_MODE_PRIVATE)}
	must(t, rtnl.SetOption(t.Context(), c, &rtnl.Link{Index: at.Index, Kind: "macvlan"}, private))
	all, err := pipework.List(t.Context(), guest)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Drifts, []string{"mode of eth1 is not vepa"}) {
		t.Errorf("list: %+v, %v", all[0], err)
	}
	if again := plug(t, guest, want); len(again.Mended) != 1 {
		t.Errorf("again: %+v", again)
	}
	if l, err = h.LinkByIndex(at.Index); err != nil || l.(*netlink.Macvlan).Mode != netlink.MACVLAN_MODE_VEPA {
		t.Errorf("mended %+v, %v", l, err)
	}
	unplug(t, guest, nil)
}

// The interface for a VLAN goes with its last user, in whatever order they go.
func TestVLANGoesWithItsLastUser(t *testing.T) {
	needs(t, "vlan")
	addNIC(t, "nic0")
	vlan := link.Macvlan{Parent: "nic0", VLAN: 100}
	a, _ := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	c, gc := nstest.Guest(t)
	world := nstest.Observe(t)
	plug(t, a, vlan, "10.1.0.1/24")
	plug(t, b, vlan, "10.1.0.2/24")
	plug(t, c, link.Macvlan{Parent: "nic0", VLAN: 200}, "10.1.0.3/24")
	nstest.Ping(t, gb.Handle, "10.1.0.1")
	nstest.NoPing(t, gc.Handle, "10.1.0.1")
	unplug(t, a, vlan)
	unplug(t, a, vlan)
	if !exists("nic0.100") {
		t.Fatal("the VLAN went with its first user")
	}
	nstest.NoPing(t, gb.Handle, "10.1.0.1")
	unplug(t, b, vlan)
	unplug(t, c, nil)
	world.Unchanged(t)
}

// A guest that dies takes its interface along and nobody tells pipework.
func TestVLANOutlivesItsGuests(t *testing.T) {
	needs(t, "vlan")
	addNIC(t, "nic0")
	h := host(t)
	vlan := link.Macvlan{Parent: "nic0", VLAN: 100}
	a, _ := nstest.Guest(t)
	world := nstest.Observe(t)
	die := func() ns.PID {
		p := nstest.Process(t)
		plug(t, ns.PID(p.PID), vlan)
		_ = p.Kill()
		return ns.PID(p.PID)
	}
	die()
	plug(t, a, vlan)
	if removed, err := link.Collect(t.Context(), h); err != nil || len(removed) > 0 {
		t.Errorf("collected %q in use, %v", removed, err)
	}
	testwait.Eventually(t, "the last user is unplugged, the other dead", func() bool {
		unplug(t, a, vlan)
		return !exists("nic0.100")
	})
	dead := die()
	testwait.Eventually(t, "the dead guest is unplugged", func() bool {
		unplug(t, dead, vlan)
		return !exists("nic0.100")
	})
	die()
	testwait.Eventually(t, "collected", func() bool {
		_, err := link.Collect(t.Context(), h)
		must(t, err)
		return !exists("nic0.100")
	})
	world.Unchanged(t)
}

// What somebody else made stays, under whatever name it is, and what is
// something else is left alone.
func TestVLANOfOthers(t *testing.T) {
	needs(t, "vlan")
	nic := addNIC(t, "nic0")
	addVLAN(t, "nic0.100", nic, 100)
	addVLAN(t, "blue", nic, 200)
	addVLAN(t, "nic0.300", nic, 301)
	guest, g := nstest.Guest(t)
	addVLAN(t, "away", nic, 400)
	onHost(t, func(h *netlink.Handle) {
		l, err := h.LinkByName("away")
		must(t, err)
		must(t, h.LinkSetNsFd(l, int(g.NetNS())))
	})
	for _, id := range []int{100, 200} {
		plug(t, guest, link.Macvlan{Parent: "nic0", VLAN: id}) // it sets the VLAN up, which stays
		unplug(t, guest, nil)
	}
	world := nstest.Observe(t, g.Handle)
	for _, id := range []int{100, 200} {
		plug(t, guest, link.Macvlan{Parent: "nic0", VLAN: id})
		unplug(t, guest, nil)
	}
	for id, says := range map[int]string{300: "nic0.300 is not VLAN 300 of nic0", 400: "VLAN 400 of nic0 exists already, away in netns:"} {
		_, err := pipework.Attach(t.Context(), guest, pipework.Spec{Link: link.Macvlan{Parent: "nic0", VLAN: id}})
		if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("VLAN %d: %v", id, err)
		}
	}
	world.Unchanged(t)
}

// Someone may come to use a VLAN that pipework made: then it stays.
func TestVLANInUseByTheHost(t *testing.T) {
	needs(t, "vlan")
	addNIC(t, "nic0")
	h := host(t)
	guest, _ := nstest.Guest(t)
	vlan := link.Macvlan{Parent: "nic0", VLAN: 100}
	for name, use := range map[string]func(h *netlink.Handle, l netlink.Link) (undo func() error){
		"address": func(h *netlink.Handle, l netlink.Link) func() error {
			a, err := netlink.ParseAddr("10.1.0.9/24")
			must(t, err)
			must(t, h.AddrAdd(l, a))
			return func() error { return h.AddrDel(l, a) }
		},
		"port": func(h *netlink.Handle, l netlink.Link) func() error {
			br := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
			must(t, h.LinkSetMaster(l, br))
			return func() error { return h.LinkSetNoMaster(l) }
		},
		"stacked": func(h *netlink.Handle, l netlink.Link) func() error {
			a := attrs("inner")
			a.ParentIndex = l.Attrs().Index
			v := &netlink.Vlan{LinkAttrs: a, VlanId: 7, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}
			must(t, h.LinkAdd(v))
			return func() error { return h.LinkDel(v) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			plug(t, guest, vlan)
			onHost(t, func(handle *netlink.Handle) {
				if name == "port" { // which nothing else may stand on
					unplugKeeping(t, guest, vlan)
				}
				l, err := handle.LinkByName("nic0.100")
				must(t, err)
				undo := use(handle, l)
				unplug(t, guest, vlan)
				_, err = link.Collect(t.Context(), h)
				must(t, err)
				if !exists("nic0.100") {
					t.Fatal("removed in use")
				}
				must(t, undo())
			})
			removed, err := link.Collect(t.Context(), h)
			if err != nil || !slices.Equal(contract.Names(removed), []string{"nic0.100"}) {
				t.Errorf("collected %q, %v", removed, err)
			}
		})
	}
}

// unplugKeeping removes the guest's interface as the guest itself would.
func unplugKeeping(t *testing.T, guest ns.Named, b link.Backend) {
	t.Helper()
	g, err := guest.Open(t.Context())
	must(t, err)
	defer func() { _ = g.Close() }()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	must(t, err)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName("eth1")
	must(t, err)
	must(t, h.LinkDel(l))
}

func TestVLANOfALongName(t *testing.T) {
	needs(t, "vlan")
	const long = "averylongname12"
	addNIC(t, long)
	a, ga := nstest.Guest(t)
	b, _ := nstest.Guest(t)
	world := nstest.Observe(t)
	vlan := link.Macvlan{Parent: long, VLAN: 4094}
	plug(t, a, vlan, "10.1.0.1/24")
	plug(t, b, vlan, "10.1.0.2/24")
	nstest.Ping(t, ga.Handle, "10.1.0.2")
	unplug(t, a, vlan)
	unplug(t, b, vlan)
	world.Unchanged(t)
}

// A process that is killed while it finds out whether a VLAN is used leaves an
// interface behind that keeps others off.
func TestClaimLeftBehind(t *testing.T) {
	needs(t, "vlan")
	nic := addNIC(t, "nic0")
	h := host(t)
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	vlan := link.Macvlan{Parent: "nic0", VLAN: 100}
	leave := func() {
		addVLAN(t, "nic0.100", nic, 100)
		onHost(t, func(h *netlink.Handle) {
			v, err := h.LinkByName("nic0.100")
			must(t, err)
			must(t, h.LinkSetAlias(v, "pipework vlan"))
			a := attrs(fmt.Sprintf("pwclaim%d", v.Attrs().Index))
			a.ParentIndex = v.Attrs().Index
			must(t, h.LinkAdd(&netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_PASSTHRU}))
		})
	}
	leave()
	plug(t, guest, vlan)
	unplug(t, guest, vlan)
	world.Unchanged(t)
	leave()
	_, err := link.Collect(t.Context(), h)
	must(t, err)
	world.Unchanged(t)
	leave()
	unplug(t, guest, vlan)
	world.Unchanged(t)
}

// Collect removes what killed calls and dead guests left on the host, and
// nothing that is not marked.
func TestCollect(t *testing.T) {
	nic := addNIC(t, "nic0")
	h := host(t)
	guest, _ := nstest.Guest(t)
	world := nstest.Observe(t)
	onHost(t, func(h *netlink.Handle) {
		for _, name := range []string{"halfway", "others"} {
			a := attrs(name)
			a.ParentIndex = nic.Index
			l := &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}
			must(t, h.LinkAdd(l))
			if name == "halfway" {
				must(t, h.LinkSetAlias(l, "pipework link=macvlan:nic0 interface=eth1"))
			}
		}
	})
	p := nstest.Process(t)
	plug(t, ns.PID(p.PID), link.Bridge{Name: "br5"})
	plug(t, guest, link.Macvlan{Parent: "nic0"})
	before := nstest.Observe(t)
	would, err := pipework.Orphans(t.Context())
	if err != nil || !slices.Equal(contract.Names(would), []string{"halfway"}) {
		t.Errorf("would collect %q, %v", would, err)
	}
	before.Unchanged(t)
	removed, err := link.Collect(t.Context(), h)
	if err != nil || !slices.Equal(contract.Names(removed), []string{"halfway"}) {
		t.Errorf("collected %q, %v", removed, err)
	}
	_ = p.Kill()
	testwait.Eventually(t, "br5 would be collected", func() bool {
		would, err := pipework.Orphans(t.Context())
		must(t, err)
		return slices.Equal(contract.Names(would), []string{"br5"}) && exists("br5")
	})
	testwait.Eventually(t, "br5 is collected", func() bool {
		_, err := link.Collect(t.Context(), h)
		must(t, err)
		return !exists("br5")
	})
	del(t, "others")
	unplug(t, guest, nil)
	world.Unchanged(t)
}

// What cannot be is refused before or while it is made, in words, and leaves
// nothing.
func TestKindsRefused(t *testing.T) {
	addNIC(t, "nic0")
	addNIC(t, "port0")
	br := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	onHost(t, func(h *netlink.Handle) {
		l, err := h.LinkByName("port0")
		must(t, err)
		must(t, h.LinkSetMaster(l, br))
	})
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		name string
		spec pipework.Spec
		is   error
		says string
	}{
		{"no parent", pipework.Spec{Link: link.Macvlan{}}, fs.ErrInvalid, "a parent interface on the host is needed"},
		{"tag in the name", pipework.Spec{Link: link.Macvlan{Parent: "nic0@5"}}, fs.ErrInvalid, "given apart"},
		{"tag 4095", pipework.Spec{Link: link.Macvlan{Parent: "nic0", VLAN: 4095}}, fs.ErrInvalid, "1 to 4094"},
		{"tag -1", pipework.Spec{Link: link.Ipvlan{Parent: "nic0", VLAN: -1}}, fs.ErrInvalid, "1 to 4094"},
		{"mode 9", pipework.Spec{Link: link.Ipvlan{Parent: "nic0", Mode: 9}}, fs.ErrInvalid, "no mode 9"},
		{"ipvlan MAC", pipework.Spec{Link: link.Ipvlan{Parent: "nic0"}, MAC: mac}, fs.ErrInvalid, "has its parent's MAC"},
		{"passthru MAC", pipework.Spec{Link: link.Macvlan{Parent: "nic0", Mode: link.MacvlanPassthru}, MAC: mac}, fs.ErrInvalid, "has its parent's MAC"},
		{"IPoIB MAC", pipework.Spec{Link: link.IPoIB{Parent: "nic0"}, MAC: mac}, fs.ErrInvalid, "takes no MAC"},
		{"key 8000", pipework.Spec{Link: link.IPoIB{Parent: "nic0", PKey: 0x8000}}, fs.ErrInvalid, "8000 is invalid"},
		{"bridge name", pipework.Spec{Link: link.Bridge{Name: "a/b", HostName: "c d"}}, fs.ErrInvalid, `"a/b" contains '/'`},
		{"parent gone", pipework.Spec{Link: link.Macvlan{Parent: "nic9"}}, fs.ErrNotExist, "it has lan, lo, nic0, port0"},
		{"loopback", pipework.Spec{Link: link.Macvlan{Parent: "lo"}}, fs.ErrInvalid, "no Ethernet interface"},
		{"MTU", pipework.Spec{Link: link.Macvlan{Parent: "nic0"}, MTU: 9000}, fs.ErrInvalid, "more than that of nic0, 1500"},
		{"bridge port", pipework.Spec{Link: link.Macvlan{Parent: "port0"}}, fs.ErrInvalid, "port of a bridge"},
		{"not IPoIB", pipework.Spec{Link: link.IPoIB{Parent: "nic0"}}, fs.ErrInvalid, "no IPoIB interface but a veth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := pipework.Attach(t.Context(), guest, c.spec)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	world.Unchanged(t)
}

// Where the kernel lacks something, it is named.
func TestKindsUnsupported(t *testing.T) {
	addNIC(t, "nic0")
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	for _, c := range []struct {
		kind string
		link link.Backend
		says string
	}{
		{"dummy", link.Dummy{}, "this kernel has no dummy links: CONFIG_DUMMY"},
		{"ipvlan", link.Ipvlan{Parent: "nic0"}, "this kernel has no ipvlan links: CONFIG_IPVLAN"},
		{"vlan", link.Macvlan{Parent: "nic0", VLAN: 5}, "this kernel has no VLAN links: CONFIG_VLAN_8021Q"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			if hasKind(t, c.kind) {
				t.Skip("this kernel has it")
			}
			_, err := pipework.Attach(t.Context(), guest, pipework.Spec{Link: c.link})
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	world.Unchanged(t)
}
