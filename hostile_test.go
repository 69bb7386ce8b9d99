//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"net"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// replaceLink does in the guest what its root may: it puts another veth in the
// place of eth1, whose other end has this index, with this mark.
func replaceLink(t *testing.T, g *ns.Guest, index int, alias string) {
	t.Helper()
	h := open(t, g)
	defer func() { _ = h.Close() }()
	eth1, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	a := attrs("px")
	a.Index = index
	if err := errors.Join(h.LinkDel(eth1), h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "eth1"})); err != nil {
		t.Fatal(err)
	}
	if eth1, err = h.LinkByName("eth1"); err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetAlias(eth1, alias); err != nil {
		t.Fatal(err)
	}
}

func aliasOf(t *testing.T, g *ns.Guest, name string) string {
	t.Helper()
	h := open(t, g)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Alias
}

// TestForgedPair has a guest that claims another guest's host end for its own.
func TestForgedPair(t *testing.T) {
	victim, gv := nstest.Guest(t)
	evil, ge := nstest.Guest(t)
	for range 20 { // indexes of the host that the guest does not have
		h := open(t, nil)
		spare := &netlink.Bridge{LinkAttrs: attrs("spare")}
		if err := errors.Join(h.LinkAdd(spare), h.LinkDel(spare), h.Close()); err != nil {
			t.Fatal(err)
		}
	}
	s := spec("eth1", "br1", "10.1.0.2/24")
	at := attach(t, victim, s)
	mine := spec("eth1", "br2", "10.2.0.2/24")
	attach(t, evil, mine)
	host, err := net.InterfaceByName(at.HostName)
	if err != nil {
		t.Fatal(err)
	}
	replaceLink(t, ge, host.Index, aliasOf(t, ge, "eth1"))
	world := nstest.Observe(t, gv.Handle)
	_, _ = pipework.Attach(t.Context(), evil, mine)
	world.Unchanged(t)
	_, _ = pipework.Detach(t.Context(), evil, mine)
	if checked, err := pipework.Check(t.Context(), victim, s); err != nil || len(checked.Drifts) > 0 {
		t.Errorf("the victim's interface after the other's detach: %+v, %v", checked, err)
	}
	detach(t, victim, s)
}

// TestForgedNIC has a guest that gives its interface the mark of a NIC, which the
// host would take in under any name and with any address.
func TestForgedNIC(t *testing.T) {
	evil, ge := nstest.Guest(t)
	attach(t, evil, spec("eth1", "br2", "10.2.0.2/24"))
	replaceLink(t, ge, 77, "pipework link=phys:wg0 interface=eth1 was=000000000000~wg0~020000000001~1500~up~~128.0.0.0-1")
	world := nstest.Observe(t)
	if _, err := pipework.Detach(t.Context(), evil, pipework.Spec{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("detach: %v", err)
	}
	world.Unchanged(t)
	detach(t, ns.PID(1<<22), spec("", "br2")) // nobody: the bridge goes
}

// TestRenamed finds what somebody in the guest has renamed.
func TestRenamed(t *testing.T) {
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	attach(t, target, spec("eth1", "br1", "10.1.0.2/24"))
	h := open(t, g)
	eth1, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	// Down and up again: before Linux 6.2 an interface that is up keeps its name.
	if err := errors.Join(h.LinkSetDown(eth1), h.LinkSetName(eth1, "foo"), h.LinkSetUp(eth1)); err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	list, err := pipework.List(t.Context(), target)
	if err != nil || len(list) != 1 || !slices.Contains(list[0].Drifts, "is called foo instead of eth1") {
		t.Errorf("list: %+v, %v", list, err)
	}
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestDefaultsOfAVanishedInterface takes the pair away by its host end: what it
// displaced comes back with the next Detach.
func TestDefaultsOfAVanishedInterface(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	at := attach(t, target, spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1"))
	del(t, at.HostName)
	detach(t, target, spec("eth1", "br1"))
	world.Unchanged(t)
}

// TestSharedHop has two interfaces whose gateway neither covers.
func TestSharedHop(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	one, two := spec("eth1", "br1", "10.1.0.2/24", "10.9.9.9"), spec("eth2", "br2", "10.2.0.2/24", "10.9.9.9")
	attach(t, target, one)
	attach(t, target, two)
	detach(t, target, two)
	detach(t, target, one)
	world.Unchanged(t)
}

// TestNICInAHeldNamespace has a guest hide the host's NIC in a namespace that no process is in:
// only an open file holds it. The NIC comes home, and a macvlan that hides there goes.
func TestNICInAHeldNamespace(t *testing.T) {
	addNIC0(t)
	target, g := nstest.Guest(t)
	held, err := hold(t)
	if err != nil {
		t.Fatal(err)
	}
	world := nstest.Observe(t, g.Handle)
	attach(t, target, nic0)
	h := open(t, g)
	defer func() { _ = h.Close() }()
	eth1, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	a := attrs("mv")
	a.ParentIndex = eth1.Attrs().Index
	if err := h.LinkAdd(&netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
		t.Fatal(err)
	}
	mv, err := h.LinkByName("mv")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.LinkSetNsFd(mv, held), h.LinkSetNsFd(eth1, held)); err != nil {
		t.Fatal(err)
	}
	detach(t, target, nic0)
	in, err := netlink.NewHandleAt(netns.NsHandle(held), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if all, err := nstest.Whole(in.LinkList); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
	_ = in.Close()
	_ = h.Close()
	world.Unchanged(t)
}

// hold makes a namespace that only an open file holds, for the length of the test.
func hold(t *testing.T) (fd int, err error) {
	t.Helper()
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		made <- err
	}()
	err = <-made
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, err
}
