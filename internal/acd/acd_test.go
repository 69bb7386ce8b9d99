package acd

import (
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

func TestClaim(t *testing.T) {
	mac, other := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	addr, target := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	probe, err := Probe(mac, addr)
	if err != nil {
		t.Fatal(err)
	}
	if a, from, probing := Claim(probe); a != addr || from.String() != mac.String() || !probing {
		t.Errorf("a probe: %v, %v, %v", a, from, probing)
	}
	for _, op := range []arp.Operation{arp.OperationRequest, arp.OperationReply} {
		p, err := arp.NewPacket(op, mac, addr, other, target)
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := p.MarshalBinary()
		frame, _ := (&ethernet.Frame{Destination: other, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}).MarshalBinary()
		if a, from, probing := Claim(frame); a != addr || from.String() != mac.String() || probing {
			t.Errorf("%v: %v, %v, %v", op, a, from, probing)
		}
		for n := range 14 + 28 { // Ethernet's header and the packet
			if _, from, _ := Claim(frame[:n]); from != nil {
				t.Errorf("%d bytes of it: %v", n, from)
			}
		}
	}
}
