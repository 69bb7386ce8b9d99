//go:build linux

package ovs_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// datapaths runs a test on each datapath that forwards frames and is to be had.
func datapaths(t *testing.T, test func(t *testing.T, d ovstest.Datapath, setting string)) {
	t.Run("userspace", func(t *testing.T) { test(t, ovstest.Userspace, ovs.Netdev) })
	t.Run("kernel", func(t *testing.T) { test(t, ovstest.Kernel, ovs.System) })
}

// A container is a guest with an address on a bridge.
type container struct {
	name  string
	vlan  int
	addr  string
	guest *ns.Guest
}

// plug makes the container and attaches it to ovs0 for the length of the test.
func (c *container) plug(t *testing.T, a *pipework.Attacher, client *ovs.Client, datapath string) {
	t.Helper()
	target, guest := nstest.Guest(t)
	c.guest = guest
	s := pipework.Spec{
		Link:  ovs.Bridge{Name: "ovs0", Tag: c.vlan, Datapath: datapath, Client: client},
		Addrs: []netip.Prefix{netip.MustParsePrefix(c.addr + "/24")},
	}
	if _, err := a.Attach(t.Context(), target, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := a.Detach(t.Context(), target, s); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
}

// TestFourContainers is the scenario of every tutorial: one bridge, one subnet,
// two VLANs.
func TestFourContainers(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		db := ovstest.Start(t)
		db.Switch(t, d, nil)
		client := shared(t, db)
		c := []*container{
			{name: "c1", vlan: 100, addr: "192.168.0.1"}, {name: "c2", vlan: 100, addr: "192.168.0.2"},
			{name: "c3", vlan: 200, addr: "192.168.0.3"}, {name: "c4", vlan: 200, addr: "192.168.0.4"},
		}
		for _, c := range c {
			c.plug(t, new(pipework.Attacher), client, setting)
		}
		reach(t, c)
	})
}

// reach has every container talk to every other: ping and TCP within a VLAN,
// nothing across.
func reach(t *testing.T, all []*container) {
	t.Helper()
	for _, from := range all {
		for _, to := range all {
			switch {
			case from == to:
			case from.vlan == to.vlan:
				nstest.Ping(t, from.guest.Handle, to.addr)
				talk(t, from.guest.Handle, to.guest.Handle, to.addr)
			default:
				nstest.NoPing(t, from.guest.Handle, to.addr)
			}
		}
	}
}

// patience bounds what takes milliseconds: ovs-vswitchd's userspace datapath is a
// process like others, which on a busy machine may have to wait for seconds.
const patience = 30 * time.Second

// talk sends a megabyte by TCP there and back.
func talk(t *testing.T, from, to *ns.Handle, addr string) {
	t.Helper()
	var listener net.Listener
	err := to.Do(t.Context(), func() (err error) {
		listener, err = net.Listen("tcp", addr+":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	echoed := make(chan error, 1)
	go func() { echoed <- echo(listener) }()
	var conn net.Conn
	err = from.Do(t.Context(), func() (err error) {
		conn, err = net.DialTimeout("tcp", listener.Addr().String(), patience)
		return err
	})
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	if err := exchange(conn); err != nil {
		t.Error(err)
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

func echo(l net.Listener) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = io.Copy(conn, conn)
	return err
}

func exchange(conn net.Conn) error {
	const size = 1 << 20
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, strings.NewReader(strings.Repeat("x", size)))
		sent <- errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	}()
	n, err := io.Copy(io.Discard, conn)
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d of %d bytes came back", n, size)
	}
	return nil
}

// TestTwoHosts has two hosts, each with an Open vSwitch of its own, and a wire
// between them that is a trunk port on both sides.
func TestTwoHosts(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		_, one := nstest.Guest(t)
		_, two := nstest.Guest(t)
		wire(t, one.Handle, two.Handle)
		var all []*container
		for i, host := range []*ns.Handle{one.Handle, two.Handle} {
			db := ovstest.Start(t)
			db.Switch(t, d, host)
			client := shared(t, db)
			at := &pipework.Attacher{Host: host}
			for _, vlan := range []int{100, 200} {
				c := &container{vlan: vlan, addr: fmt.Sprintf("192.168.0.%d", vlan/10+i)}
				c.plug(t, at, client, setting)
				all = append(all, c)
			}
			db.Vsctl(t, "add-port", "ovs0", "uplink")
			t.Cleanup(func() { db.Vsctl(t, "del-port", "uplink") })
		}
		reach(t, all)
	})
}

// wire connects two namespaces; both ends are called uplink, and are up.
func wire(t *testing.T, one, two *ns.Handle) {
	t.Helper()
	h, err := netlink.NewHandleAt(one.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	a := netlink.NewLinkAttrs()
	a.Name = "uplink"
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "uplink", PeerNamespace: netlink.NsFd(two.NetNS())}); err != nil {
		t.Fatal(err)
	}
	for _, at := range []*ns.Handle{one, two} {
		setUp(t, at, "uplink")
	}
}

func setUp(t *testing.T, at *ns.Handle, name string) {
	t.Helper()
	h, err := netlink.NewHandleAt(at.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
}

// TestTrunkPort has a guest that is its own router: a trunk port without a tag
// carries VLANs 100 and 200 to subinterfaces inside. Needs 8021q, which the lane
// uml has.
func TestTrunkPort(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		db := ovstest.Start(t)
		db.Switch(t, d, nil)
		client := shared(t, db)
		router := &container{addr: "192.168.9.1"}
		router.plug(t, new(pipework.Attacher), client, setting)
		for _, vlan := range []int{100, 200} {
			subinterface(t, router.guest.Handle, vlan, fmt.Sprintf("192.168.%d.1/24", vlan))
			c := &container{vlan: vlan, addr: fmt.Sprintf("192.168.%d.2", vlan)}
			c.plug(t, new(pipework.Attacher), client, setting)
			nstest.Ping(t, router.guest.Handle, c.addr)
			talk(t, router.guest.Handle, c.guest.Handle, c.addr)
		}
	})
}

// subinterface adds a tagged interface to eth1.
func subinterface(t *testing.T, at *ns.Handle, vlan int, addr string) {
	t.Helper()
	h, err := netlink.NewHandleAt(at.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	parent, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	a := netlink.NewLinkAttrs()
	a.Name, a.ParentIndex = fmt.Sprintf("eth1.%d", vlan), parent.Attrs().Index
	err = h.LinkAdd(&netlink.Vlan{LinkAttrs: a, VlanId: vlan})
	if errors.Is(err, unix.EOPNOTSUPP) && os.Getenv("PIPEWORK_LANE") == "" {
		t.Skip("this kernel has no VLAN links (8021q): run in the lane uml")
	}
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := netlink.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.LinkByName(a.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.AddrAdd(l, parsed), h.LinkSetUp(l)); err != nil {
		t.Fatal(err)
	}
}

// TestOneDatapath asks for a second userspace datapath in one namespace, which
// Open vSwitch cannot have.
func TestOneDatapath(t *testing.T) {
	target, _ := nstest.Guest(t)
	for i := range 2 {
		db := ovstest.Start(t)
		db.Switch(t, ovstest.Userspace, nil)
		s := spec(ovs.Bridge{Name: fmt.Sprintf("ovs%d", i), Datapath: ovs.Netdev, Client: shared(t, db)}, "10.0.0.1/24")
		s.Name = fmt.Sprintf("net%d", i)
		_, err := pipework.Attach(t.Context(), target, s)
		switch {
		case i == 0 && err != nil:
			t.Fatal(err)
		case i == 0:
			defer detach(t, target, s)
		case err == nil || !strings.Contains(err.Error(), "only one userspace datapath"):
			t.Error(err)
		}
	}
}

// TestDetachFreesTheName types a bridge that is made, detaches, and types it once more at
// once: its device is gone by then, and is not taken for an interface that is no bridge.
func TestDetachFreesTheName(t *testing.T) {
	db := ovstest.Start(t)
	db.Standard(t)
	db.Switch(t, ovstest.Userspace, nil)
	unchanged(t, db)
	s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev}, "10.0.0.1/24")
	target, _ := nstest.Guest(t)
	for range 3 {
		attach(t, target, s)
		detach(t, target, s)
		if err := nstest.NoLink(t, "ovs0"); err != nil {
			t.Fatal(err)
		}
	}
}
