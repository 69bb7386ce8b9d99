//go:build linux

package pipework_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// noFilter switches br_netfilter off in the sandbox, where the kernel has it: a
// firewall in the way of bridged frames costs time that is not the attach's.
func noFilter(t testing.TB) {
	t.Helper()
	for _, tool := range []string{"iptables", "ip6tables"} {
		err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+tool, []byte("0"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// fill makes the bridge br9 with n ports whose other ends are in one guest.
func fill(t testing.TB, g *ns.Guest, n int) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	br := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("br9")})
	const group = 9
	for i := range n {
		a := attrs(fmt.Sprintf("vcrowd%d", i))
		a.MasterIndex, a.Group = br.Index, group
		v := &netlink.Veth{LinkAttrs: a, PeerName: fmt.Sprintf("eth%d", i), PeerNamespace: netlink.NsFd(g.NetNS())}
		if err := h.LinkAdd(v); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { delGroup(t, group) })
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
