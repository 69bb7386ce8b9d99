//go:build linux

package pipework_test

import (
	"errors"
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/nstest"
)

// TestBridgeKeepsItsMAC plugs a guest into a bridge that has the MAC of a NIC with a high
// one: the kernel gives a bridge the lowest of its ports.
func TestBridgeKeepsItsMAC(t *testing.T) {
	target, _ := nstest.Guest(t)
	nic := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "nicx", HardwareAddr: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}}, PeerName: "nicy"}
	must(t, errors.Join(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "lan"}}), netlink.LinkAdd(nic)))
	lan, err := netlink.LinkByName("lan")
	must(t, err)
	must(t, errors.Join(netlink.LinkSetMaster(nic, lan), netlink.LinkSetUp(nic), netlink.LinkSetUp(lan)))
	t.Cleanup(func() { must(t, errors.Join(netlink.LinkDel(nic), netlink.LinkDel(lan))) })
	for range 20 {
		attach(t, target, spec("eth1", "lan", "10.1.0.1/24"))
		lan, err := netlink.LinkByName("lan")
		if must(t, err); lan.Attrs().HardwareAddr.String() != "52:54:00:12:34:56" {
			t.Fatalf("the bridge has the MAC %s", lan.Attrs().HardwareAddr)
		}
		detach(t, target, spec("eth1", "lan", "10.1.0.1/24"))
	}
}
