//go:build linux

package nstest

import (
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// SendARP has a guest send, by its eth1, an ARP reply to all that mac has the address, with the tag of a
// VLAN, if that is not 0; where mac is nil, a probe for the address in its place.
func SendARP(t testing.TB, g *ns.Guest, mac net.HardwareAddr, addr netip.Addr, vlan uint16) {
	t.Helper()
	p, err := arp.NewPacket(arp.OperationReply, mac, addr, ethernet.Broadcast, addr)
	if mac == nil {
		mac = net.HardwareAddr{2, 0, 0, 0, 0, 0xaa}
		p, err = arp.NewPacket(arp.OperationRequest, mac, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), addr)
	}
	must(t, err)
	payload, err := p.MarshalBinary()
	must(t, err)
	f := ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}
	if vlan != 0 {
		f.VLAN = &ethernet.VLAN{ID: vlan}
	}
	frame, err := f.MarshalBinary()
	must(t, err)
	must(t, g.Do(t.Context(), func() error {
		l, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		to := unix.SockaddrLinklayer{Ifindex: l.Index, Halen: 6}
		copy(to.Addr[:], ethernet.Broadcast)
		return unix.Sendto(fd, frame, 0, &to)
	}))
}
