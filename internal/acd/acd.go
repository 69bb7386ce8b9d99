// Package acd has the frames of IPv4 address conflict detection (RFC 5227), which dhcp and
// announce send and read on sockets of their own.
package acd

import (
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

const (
	// Probes is how many are sent where there is time (PROBE_NUM).
	Probes = 3
	// MaxFrames bounds what is read at a time of a network that says much.
	MaxFrames = 256
)

// Probe is a frame to all that asks who has the address, on behalf of nobody.
func Probe(mac net.HardwareAddr, a netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, mac, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), a)
	if err != nil {
		return nil, err
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	f := ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}
	return f.MarshalBinary()
}

// Claim is the address that the sender of a frame has, and its MAC; nil where it is no ARP of
// Ethernet. Where probing is set, the sender does not have the address yet, but looks for
// others that do (section 2.1.1).
func Claim(frame []byte) (a netip.Addr, mac net.HardwareAddr, probing bool) {
	var f ethernet.Frame
	var p arp.Packet
	if f.UnmarshalBinary(frame) != nil || p.UnmarshalBinary(f.Payload) != nil || len(p.SenderHardwareAddr) != 6 {
		return netip.Addr{}, nil, false
	}
	if p.Operation == arp.OperationRequest && p.SenderIP.IsUnspecified() {
		return p.TargetIP, p.SenderHardwareAddr, true
	}
	return p.SenderIP, p.SenderHardwareAddr, false
}
