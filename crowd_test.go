//go:build linux

package pipework_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/firewalltest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// crowd makes the bridge br9 with n guests that live: both ends up, the ports
// forwarding, and each answers, through the firewall that Docker makes and our rule
// in it. A frame to all goes to each of them. It returns them, the newest last.
func crowd(t testing.TB, n int) []*ns.Handle {
	t.Helper()
	if host := dockerHost(t); host == nil {
		t.Log("this kernel has no br_netfilter: no firewall sees bridged frames")
	}
	targets, opened := guests(t, n)
	jobs := make([]pipework.Job, n)
	for i, target := range targets {
		silence(t, opened[i])
		jobs[i] = onBridge(target, "eth1", 5000+i)
		jobs[i].Spec.Link = link.Bridge{Name: "br9"}
	}
	if _, err := pipework.AttachAll(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := pipework.DetachAll(context.WithoutCancel(t.Context()), jobs); err != nil {
			t.Error(err)
		}
	})
	nstest.Ping(t, opened[n-1], crowdFirst)
	return opened
}

// crowdFirst is the address of the crowd's first guest.
const crowdFirst = "10.7.20.1"

// TestCrowd pings each guest of a crowd, and none without the firewall's rule: the
// benchmarks' guests live, and their frames pass the firewall.
func TestCrowd(t *testing.T) {
	all := crowd(t, 20)
	for _, g := range all[1:] {
		nstest.Ping(t, g, crowdFirst)
	}
	if dockerHost(t) != nil { // its chains once more, and without the rule
		nstest.NoPing(t, all[1], crowdFirst)
	}
}

// silence switches IPv6 off in a guest, as in Docker's containers whose networks
// have none. What a guest sends of its own accord after it was plugged in (duplicate
// address detection, reports, solicitations) goes to the whole crowd for minutes: it
// would slow down what is measured next, be it the floor or Attach.
func silence(t testing.TB, g *ns.Handle) {
	t.Helper()
	err := g.Do(t.Context(), func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An ear hears the gratuitous ARP that reaches a guest.
type ear int

func listen(t testing.TB, g *ns.Handle) ear {
	t.Helper()
	var fd int
	err := g.Do(t.Context(), func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(arpProtocol))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
	return ear(fd)
}

// arpProtocol is ETH_P_ARP in network byte order.
var arpProtocol = binary.NativeEndian.Uint16([]byte{unix.ETH_P_ARP >> 8, unix.ETH_P_ARP & 0xff})

// hears fails the test unless each of the addresses has sent a frame. Those that come
// first are kept when the socket's buffer is full.
func (e ear) hears(t testing.TB, from ...net.HardwareAddr) {
	t.Helper()
	for b := make([]byte, 64); len(from) > 0; {
		n, err := unix.Read(int(e), b)
		if err != nil {
			t.Fatalf("nothing announced by %v: %v", from, err)
		}
		from = slices.DeleteFunc(from, func(mac net.HardwareAddr) bool { return bytes.HasPrefix(b[6:n], mac) })
	}
}

// dockerHost gives the tests' host the firewall that Docker makes and lets it see
// bridged frames. It returns nil where the kernel has no br_netfilter.
func dockerHost(t testing.TB) *ns.Handle {
	t.Helper()
	host, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	if !firewalltest.SetBridgeNF(t, host, "1") {
		return nil
	}
	firewalltest.Edit(t, host, func(c *nftables.Conn) { c.FlushRuleset() })
	firewalltest.Docker(t, host)
	return host
}

// addBridge makes a bridge for the length of the test.
func addBridge(t testing.TB, br *netlink.Bridge) *netlink.Bridge {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	br.HardwareAddr = link.RandomMAC()
	if err := h.LinkAdd(br); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { del(t, br.Name) })
	if err := h.LinkSetUp(br); err != nil {
		t.Fatal(err)
	}
	return br
}

func attrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

func del(t testing.TB, name string) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkDel(l); err != nil {
		t.Error(err)
	}
}

// delGroup removes all links of a group in one message: one grace period
// instead of thousands.
func delGroup(t testing.TB, group uint32) {
	t.Helper()
	req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(&nl.IfInfomsg{})
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		t.Error(err)
	}
}

func setGroup(t testing.TB, name string, group int) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetGroup(l, group); err != nil {
		t.Fatal(err)
	}
}

// writeBridge sets a bridge's attribute by sysfs, which it mounts for itself.
func writeBridge(name, file, value string) error {
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return err
	}
	defer func() { _ = unix.Unmount("/sys", unix.MNT_DETACH) }()
	return os.WriteFile("/sys/class/net/"+name+"/bridge/"+file, []byte(value), 0)
}
