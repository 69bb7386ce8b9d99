//go:build linux

package pipework_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

var nic0 = pipework.Spec{Link: link.Phys{Device: "nic0"}}

// addNIC0 makes nic0 with an index that leaves lower ones to the guests.
func addNIC0(t *testing.T) {
	t.Helper()
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	for range 4 {
		spare := &netlink.Bridge{LinkAttrs: attrs("spare")}
		if err := errors.Join(h.LinkAdd(spare), h.LinkDel(spare)); err != nil {
			t.Fatal(err)
		}
	}
	addPhys(t, physVeth())
}

// A forger is the root of a guest that has the host's nic0 as eth1.
type forger struct {
	*testing.T
	*netlink.Handle
	guest *ns.Guest
	other *ns.Guest // another namespace of its own
	alias string    // the mark of eth1
	index int       // of eth1
}

// forging is the forger in g, for as long as do runs.
func forging(t *testing.T, g *ns.Guest, alias string, do func(f forger)) {
	t.Helper()
	h := open(t, g)
	defer func() { _ = h.Close() }()
	f := forger{T: t, Handle: h, guest: g, alias: alias}
	if eth1, err := h.LinkByName("eth1"); err == nil {
		f.index = eth1.Attrs().Index
	}
	do(f)
}

func (f forger) must(errs ...error) {
	f.Helper()
	if err := errors.Join(errs...); err != nil {
		f.Fatal(err)
	}
}

func (f forger) link(name string) netlink.Link {
	f.Helper()
	l, err := f.LinkByName(name)
	if err != nil {
		f.Fatalf("%s: %v", name, err)
	}
	return l
}

func (f forger) rename(from, to string) {
	f.Helper()
	l := f.link(from)
	f.must(f.LinkSetDown(l), f.LinkSetName(l, to))
}

// veth makes a pair of the guest's own, whose end called name has this index (0: one
// that the kernel chooses) and bears the mark.
func (f forger) veth(name string, index int) {
	f.Helper()
	a := attrs(name)
	a.Index = index
	f.must(f.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "x" + name}))
	if index != 0 { // then the library does not tell the kernel the name
		l, err := f.LinkByIndex(index)
		f.must(err)
		f.must(f.LinkSetName(l, name))
	}
	f.must(f.LinkSetAlias(f.link(name), f.alias), f.LinkSetUp(f.link(name)), f.LinkSetUp(f.link("x"+name)))
}

// on makes a link of the guest's own on a veth of its own, that bears the mark.
func (f forger) on(l netlink.Link) {
	f.Helper()
	under := &netlink.Veth{LinkAttrs: attrs("under"), PeerName: "xunder"}
	f.must(f.LinkAdd(under))
	l.Attrs().ParentIndex = f.link("under").Attrs().Index
	f.must(f.LinkAdd(l))
	f.must(f.LinkSetAlias(f.link(l.Attrs().Name), f.alias))
}

// moveOn moves eth1 into the other namespace of the guest's.
func (f forger) moveOn() {
	f.Helper()
	f.must(f.LinkSetNsFd(f.link("eth1"), int(f.other.NetNS())))
}

// TestMarkOfANICReplayed has guests that copy the mark of the host's NIC to what is
// their own, and hide the NIC. It comes home, and nothing else does.
func TestMarkOfANICReplayed(t *testing.T) {
	for name, forge := range map[string]func(f forger){
		"to a lower index":  func(f forger) { f.veth("px", f.index-1) },
		"to a higher index": func(f forger) { f.veth("px", 0) },
		"to several": func(f forger) {
			f.veth("px", f.index-1)
			f.veth("py", 0)
			f.veth("pz", 7777)
		},
		"under its name": func(f forger) {
			f.rename("eth1", "hidden")
			f.veth("eth1", f.index-1)
		},
		"held back by an altname that the host has": func(f forger) {
			f.must(f.LinkAddAltName(f.link("eth1"), "wire"), f.LinkAddAltName(f.link("eth1"), "nic0"), f.LinkDelAltName(f.link("eth1"), "enp9s0f1"))
		},
		"held back by many altnames": func(f forger) {
			for i := 0; ; i++ { // to 64 KiB, the most that the kernel takes
				if err := f.LinkAddAltName(f.link("eth1"), fmt.Sprintf("%0120d", i)); errors.Is(err, unix.EINVAL) {
					break
				} else if err != nil {
					f.Fatal(err)
				}
			}
		},
		"its settings changed": func(f forger) {
			l := f.link("eth1")
			f.must(f.LinkSetGroup(l, 0x7077726b), f.LinkSetTxQLen(l, 1), f.LinkSetARPOff(l), f.SetPromiscOn(l), f.LinkSetAllmulticastOn(l), f.LinkSetMulticastOff(l), f.LinkSetGSOMaxSize(l, 2048), f.LinkSetGROMaxSize(l, 2048))
		},
		"held back by a default route that cannot come back": func(f forger) {
			f.veth("px", 0)
			saved := 1<<31 + f.index
			_, net16, _ := net.ParseCIDR("10.77.0.0/16")
			px := f.link("px").Attrs().Index
			f.must(
				f.RouteAdd(&netlink.Route{LinkIndex: px, Dst: net16, Table: saved, Scope: netlink.SCOPE_LINK}),
				f.RouteAdd(&netlink.Route{LinkIndex: px, Gw: net.IPv4(10, 77, 0, 1), Table: saved}),
			)
		},
		"renamed": func(f forger) { f.rename("eth1", "hidden") },
		"to a macvlan": func(f forger) {
			f.rename("eth1", "hidden")
			f.on(&netlink.Macvlan{LinkAttrs: attrs("eth1"), Mode: netlink.MACVLAN_MODE_BRIDGE})
		},
		"to a VLAN": func(f forger) {
			f.rename("eth1", "hidden")
			f.on(&netlink.Vlan{LinkAttrs: attrs("eth1"), VlanId: 5, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q})
		},
		"to a dummy": func(f forger) {
			f.rename("eth1", "hidden")
			f.must(f.LinkAdd(&netlink.Dummy{LinkAttrs: attrs("eth1")}))
			f.must(f.LinkSetAlias(f.link("eth1"), f.alias))
		},
		"and taken from it": func(f forger) {
			f.must(f.LinkSetAlias(f.link("eth1"), ""))
			f.rename("eth1", "hidden")
			f.veth("eth1", f.index-1)
		},
		"its mark changed": func(f forger) {
			f.must(f.LinkSetAlias(f.link("eth1"), strings.ReplaceAll(f.alias, "phys:nic0", "bridge:br9")))
			f.veth("px", f.index-1)
		},
		"from elsewhere": func(f forger) {
			f.moveOn()
			f.veth("eth1", f.index-1)
		},
		"from elsewhere with its index": func(f forger) {
			f.moveOn()
			f.veth("eth1", f.index)
		},
		"from elsewhere, and another kind": func(f forger) {
			f.moveOn()
			f.fake(strings.ReplaceAll(f.alias, "phys:nic0", "bridge:br9"))
		},
		"from elsewhere, and unmarked": func(f forger) {
			f.moveOn()
			f.fake("mine")
		},
		"from elsewhere, and gone": func(f forger) { f.moveOn() },
	} {
		t.Run(name, func(t *testing.T) {
			if kind, is := map[string]string{"to a VLAN": "vlan", "to a dummy": "dummy"}[name]; is {
				needs(t, kind)
			}
			addNIC0(t)
			target, g := nstest.Guest(t)
			_, other := nstest.Guest(t)
			world, before := nstest.Observe(t), settingsOf(t, "nic0")
			attach(t, target, nic0)
			forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
				f.other = other
				forge(f)
			})
			detach(t, target, nic0)
			world.Unchanged(t)
			if after := settingsOf(t, "nic0"); after != before {
				t.Errorf("nic0 has come home as %s, and was %s", after, before)
			}
			leadsToTheWire(t)
		})
	}
}

// settingsOf is what a link of the host's is set to beside what nstest compares.
func settingsOf(t *testing.T, name string) string {
	t.Helper()
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	a := l.Attrs()
	flags := a.RawFlags & (unix.IFF_NOARP | unix.IFF_PROMISC | unix.IFF_ALLMULTI | unix.IFF_MULTICAST)
	return fmt.Sprintf("flags %#x, group %d, txqueuelen %d, gso %d, gro %d", flags, a.Group, a.TxQLen, a.GSOMaxSize, a.GROMaxSize)
}

// leadsToTheWire makes sure that nic0 is the one whose other end the host has.
func leadsToTheWire(t *testing.T) {
	t.Helper()
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	nic, err := h.LinkByName("nic0")
	if err != nil {
		t.Fatal(err)
	}
	wire, err := h.LinkByName("wire")
	if err != nil {
		t.Fatal(err)
	}
	if nic.Attrs().ParentIndex != wire.Attrs().Index || wire.Attrs().ParentIndex != nic.Attrs().Index {
		t.Errorf("nic0 leads to %d, and not to the wire, %d", nic.Attrs().ParentIndex, wire.Attrs().Index)
	}
}

// TestNICHomeFromABusyGuest has a guest that makes and removes links all the time:
// some are about to end while they are looked at.
func TestNICHomeFromABusyGuest(t *testing.T) {
	addNIC0(t)
	target, g := nstest.Guest(t)
	world := nstest.Observe(t)
	attach(t, target, nic0)
	forging(t, g, "", func(f forger) {
		links, lists := 500, 100 // so that looking at all takes a while
		if testing.Short() {
			links, lists = 100, 10
		}
		for i := range links {
			f.must(f.LinkAdd(&netlink.Veth{LinkAttrs: attrs(fmt.Sprintf("a%d", i)), PeerName: fmt.Sprintf("b%d", i)}))
		}
		var busy sync.WaitGroup
		stop := make(chan struct{})
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				l := &netlink.Veth{LinkAttrs: attrs("px"), PeerName: "py"}
				if err := errors.Join(f.LinkAdd(l), f.LinkDel(l)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for range lists {
			if _, err := pipework.List(t.Context(), target); err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
				t.Error(err)
				break
			}
		}
		detach(t, target, nic0)
		close(stop)
		busy.Wait()
	})
	world.Unchanged(t)
	leadsToTheWire(t)
}

// TestFalseMarkIsNamed tells of links that bear the mark and are not the NIC.
func TestFalseMarkIsNamed(t *testing.T) {
	addNIC0(t)
	target, g := nstest.Guest(t)
	attach(t, target, nic0)
	forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
		f.rename("eth1", "hidden")
		f.veth("eth1", f.index-1)
	})
	list, err := pipework.List(t.Context(), target)
	if err != nil || len(list) != 1 || list[0].Name != "hidden" || !strings.Contains(strings.Join(list[0].Warnings, " "), "eth1 in "+list[0].Guest.Name+" bears the mark") {
		t.Errorf("list: %+v, %v", list, err)
	}
	at, err := pipework.Check(t.Context(), target, pipework.Spec{})
	if err != nil || at.Name != "hidden" || len(at.Warnings) != 1 {
		t.Errorf("check: %+v, %v", at, err)
	}
	detach(t, target, pipework.Spec{})
	leadsToTheWire(t)
}

// TestMarksOfTwoNICsExchanged has a guest with two NICs of the host's.
func TestMarksOfTwoNICsExchanged(t *testing.T) {
	addNIC0(t)
	h := open(t, nil)
	a := attrs("nic1")
	a.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 9, 7}
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "wire1"}); err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	t.Cleanup(func() { del(t, "nic1") })
	target, g := nstest.Guest(t)
	world := nstest.Observe(t)
	attach(t, target, nic0)
	nic1 := pipework.Spec{Link: link.Phys{Device: "nic1"}, Name: "eth2"}
	attach(t, target, nic1)
	forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
		f.must(f.LinkSetAlias(f.link("eth1"), aliasOf(t, g, "eth2")), f.LinkSetAlias(f.link("eth2"), f.alias))
		f.rename("eth1", "swap")
		f.rename("eth2", "eth1")
		f.rename("swap", "eth2")
	})
	detach(t, target, pipework.Spec{})
	leadsToTheWire(t)
	if _, err := net.InterfaceByName("nic1"); err == nil {
		t.Error("nic1 came with nic0")
	}
	detach(t, target, pipework.Spec{Name: "eth2"})
	world.Unchanged(t)
}

// TestMarkOfAnothersNIC has a guest that kept the mark of a NIC which it had, and
// which another guest has now.
func TestMarkOfAnothersNIC(t *testing.T) {
	addNIC0(t)
	evil, ge := nstest.Guest(t)
	victim, gv := nstest.Guest(t)
	before := nstest.Observe(t)
	attach(t, evil, nic0)
	alias := aliasOf(t, ge, "eth1")
	detach(t, evil, nic0)
	attach(t, victim, nic0)
	forging(t, ge, alias, func(f forger) { f.veth("eth1", 0) })
	world := nstest.Observe(t, gv.Handle)
	for _, s := range []pipework.Spec{nic0, {}} {
		if _, err := pipework.Detach(t.Context(), evil, s); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("detach: %v", err)
		}
	}
	world.Unchanged(t)
	detach(t, victim, nic0)
	before.Unchanged(t)
	leadsToTheWire(t)
}

// TestMarkOfANICOnABridgePort has a guest on a bridge that gives its end of the pair
// the mark of a NIC: the host's end tells what it is.
func TestMarkOfANICOnABridgePort(t *testing.T) {
	addNIC0(t)
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	attach(t, target, nic0)
	alias := aliasOf(t, g, "eth1")
	detach(t, target, nic0)
	attach(t, target, spec("eth1", "br2", "10.2.0.2/24"))
	forging(t, g, alias, func(f forger) { f.must(f.LinkSetAlias(f.link("eth1"), alias)) })
	list, err := pipework.List(t.Context(), target)
	if err != nil || len(list) != 1 || list[0].Link != "bridge:br2" {
		t.Errorf("list: %+v, %v", list, err)
	}
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestNICWithoutARecord has a host that lost its record of a NIC: then the mark alone
// is no reason to take a link in, unless that is asked for.
func TestNICWithoutARecord(t *testing.T) {
	addNIC0(t)
	target, g := nstest.Guest(t)
	attach(t, target, nic0)
	forget(t)
	for _, s := range []pipework.Spec{nic0, {}} {
		if _, err := pipework.Detach(t.Context(), target, s); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("detach: %v", err)
		}
	}
	if _, err := net.InterfaceByName("nic0"); err == nil {
		t.Error("something came home")
	}
	forging(t, g, aliasOf(t, g, "eth1"), func(f forger) { f.veth("px", 0) })
	forced := pipework.Spec{Force: true}
	if _, err := pipework.Detach(t.Context(), target, forced); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "bear the mark of nic0") {
		t.Errorf("detach --force of one of two: %v", err)
	}
	forging(t, g, "", func(f forger) { f.must(f.LinkDel(f.link("px"))) })
	detach(t, target, forced)
	leadsToTheWire(t)
	if list, err := pipework.List(t.Context(), target); err != nil || len(list) > 0 {
		t.Errorf("list: %+v, %v", list, err)
	}
}

// forget removes what the host knows of nic0 in a guest.
func forget(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("/run/pipework-nics/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"name":"nic0"`) {
			_ = os.Remove(f)
		}
	}
}

// TestCollectIgnoresForgedNICs has a link on the host itself that bears a NIC's mark:
// that is a warning, and none where the mark is gone at the second look.
func TestCollectIgnoresForgedNICs(t *testing.T) {
	addNIC0(t)
	target, g := nstest.Guest(t)
	before := nstest.Observe(t)
	attach(t, target, nic0)
	forging(t, nil, aliasOf(t, g, "eth1"), func(f forger) { f.veth("dev7", 0) })
	world := nstest.Observe(t, g.Handle)
	var said strings.Builder
	a := pipework.Attacher{Log: slog.New(slog.NewTextHandler(&said, nil))}
	names, err := a.Collect(t.Context())
	if err != nil || !strings.Contains(said.String(), "dev7 bears the mark phys:nic0") || len(names) > 0 {
		t.Errorf("collect: %q, %v, %s", names, err, &said)
	}
	world.Unchanged(t)
	said.Reset()
	ctx := fault.With(t.Context(), func(step string) error { // as if it came home while it is looked for
		if step == "lock namespace" {
			forging(t, nil, "", func(f forger) { f.must(f.LinkSetAlias(f.link("dev7"), "")) })
		}
		return nil
	})
	if names, err := a.Collect(ctx); err != nil || said.Len() > 0 || len(names) > 0 {
		t.Errorf("collect: %q, %v, %s", names, err, &said)
	}
	del(t, "dev7")
	detach(t, target, nic0)
	before.Unchanged(t)
}

// TestNICComesHomeUnderTheLock lets nobody else at the NIC while it is on the host and
// not yet what it was: each step of a detach finds the host's lock taken
// then.
func TestNICComesHomeUnderTheLock(t *testing.T) {
	addNIC0(t)
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	host, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	seen := 0
	ctx := fault.With(t.Context(), func(step string) error {
		links, err := h.LinkList()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(links, func(l netlink.Link) bool { return halfway.MatchString(l.Attrs().Name) }) {
			return nil
		}
		seen++
		if unlock, err := host.Lock(t.Context(), 0); err == nil {
			unlock()
			t.Errorf("%s: nobody has the lock", step)
		}
		return nil
	})
	target, g := nstest.Guest(t)
	_, other := nstest.Guest(t)
	for what, forge := range map[string]func(f forger){
		"from the guest": func(forger) {},
		"from elsewhere": func(f forger) { f.moveOn() },
	} {
		attach(t, target, nic0)
		forging(t, g, "", func(f forger) {
			f.other = other
			forge(f)
		})
		seen = 0
		if _, err := pipework.Detach(ctx, target, nic0); err != nil || seen == 0 {
			t.Errorf("%s: %d steps, %v", what, seen, err)
		}
		leadsToTheWire(t)
	}
}

// halfway is the name of a NIC on its way home.
var halfway = regexp.MustCompile("^pw[0-9a-f]{8}$")

// TestUnknownIsNotKept has a guest put a link of its own in the NIC's place while it is
// brought home, where that cannot be told on the host: the guest's link goes back.
func TestUnknownIsNotKept(t *testing.T) {
	addNIC0(t)
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	arrived := func() bool {
		links, err := h.LinkList()
		return err == nil && slices.ContainsFunc(links, func(l netlink.Link) bool { return halfway.MatchString(l.Attrs().Name) })
	}
	target, g := nstest.Guest(t)
	_, other := nstest.Guest(t)
	before := nstest.Observe(t)
	attach(t, target, nic0)
	alias := aliasOf(t, g, "eth1")
	broken, locks := errors.New("no sysfs"), 0
	ctx := fault.With(t.Context(), func(step string) error {
		switch {
		case step == "open sysfs" && arrived():
			return broken
		case step == "lock namespace":
			if locks++; locks == 2 { // the guest's is the first
				forging(t, g, alias, func(f forger) {
					f.other = other
					f.moveOn()
					f.veth("eth1", f.index)
				})
			}
		}
		return nil
	})
	if _, err := pipework.Detach(ctx, target, nic0); !errors.Is(err, broken) || locks < 2 {
		t.Errorf("detach: %v", err)
	}
	if arrived() {
		t.Error("the guest's own link stayed on the host")
	}
	forging(t, g, "", func(f forger) { f.link("eth1") })
	detach(t, target, nic0)
	before.Unchanged(t)
	leadsToTheWire(t)
}
