package pintest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
)

// The addresses of the guest that is pinned, and of a neighbour that it attacks.
var (
	EveMAC   = net.HardwareAddr{2, 0, 0, 0, 0, 0xe1}
	OtherMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0xa1}
	Eve4     = netip.MustParseAddr("10.1.0.66")
	Other4   = netip.MustParseAddr("10.1.0.1")
	Eve6     = netip.MustParseAddr("fd01::66")
	Other6   = netip.MustParseAddr("fd01::1")
	eveLocal = netip.MustParseAddr("fe80::ff:fe00:e1") // of its MAC
	none4    = netip.IPv4Unspecified()
	none6    = netip.IPv6Unspecified()
	nodes6   = netip.MustParseAddr("ff02::1")
)

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// ethernetII is a frame to everybody.
func ethernetII(from net.HardwareAddr, kind int, payload ...[]byte) []byte {
	return slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, from, u16(kind), slices.Concat(payload...))
}

// tagged is the frame with a tag of this type.
func tagged(frame []byte, kind, vlan int) []byte {
	return slices.Concat(frame[:12], u16(kind), u16(vlan), frame[12:])
}

func arpFrame(op int, mac net.HardwareAddr, from, to netip.Addr) []byte {
	return ethernetII(EveMAC, 0x0806, u16(1), u16(0x0800), []byte{6, 4}, u16(op), mac, from.AsSlice(), make([]byte, 6), to.AsSlice(), make([]byte, 18))
}

// ipv4Frame has a packet with these options, flags and offset of a fragment.
func ipv4Frame(from netip.Addr, options []byte, fragment, proto int, payload []byte) []byte {
	head := slices.Concat([]byte{byte(0x45 + len(options)/4), 0}, u16(20+len(options)+len(payload)), u16(7), u16(fragment), []byte{64, byte(proto), 0, 0},
		from.AsSlice(), []byte{255, 255, 255, 255}, options)
	sum := 0
	for i := 0; i < len(head); i += 2 {
		sum += int(binary.BigEndian.Uint16(head[i:]))
	}
	binary.BigEndian.PutUint16(head[10:], ^uint16(sum>>16+sum))
	return ethernetII(EveMAC, 0x0800, head, payload)
}

func ipv6Frame(from netip.Addr, next int, payload ...[]byte) []byte {
	all := slices.Concat(payload...)
	return ethernetII(EveMAC, 0x86dd, []byte{0x60, 0, 0, 0}, u16(len(all)), []byte{byte(next), 255}, from.AsSlice(), nodes6.AsSlice(), all)
}

func udp(from, to int) []byte {
	return slices.Concat(u16(from), u16(to), u16(40), u16(0), make([]byte, 32))
}

// icmp is a message of ICMP, IGMP or ICMPv6 of this type.
func icmp(kind int) []byte { return append([]byte{byte(kind)}, make([]byte, 23)...) }

// icmp6 is a message with a target and its address of the link, as neighbours send.
func icmp6(kind int, target netip.Addr) []byte {
	return slices.Concat([]byte{byte(kind), 0, 0, 0, 0x20, 0, 0, 0}, target.AsSlice(), []byte{2, 1}, EveMAC)
}

// Extension headers of IPv6 that are followed by this one.
func options6(next int) []byte { return []byte{byte(next), 0, 1, 4, 0, 0, 0, 0} }

func longOptions6(next int) []byte {
	return slices.Concat([]byte{byte(next), 2, 1, 20}, make([]byte, 20))
}

func fragment6(next, offset int) []byte {
	return slices.Concat([]byte{byte(next), 0}, u16(offset), []byte{0, 0, 0, 9})
}

// Attacks are frames that must not leave a guest that is pinned, by their names.
func Attacks() map[string][]byte {
	const (
		icmp6Proto, hop, udpProto, fragment, options = 58, 0, 17, 44, 60
		ra, ns, na, redirect                         = 134, 135, 136, 137
		icmp4, igmp, pim                             = 1, 2, 103
	)
	advertisement := icmp6(ra, none6)
	forged := ipv4Frame(Eve4, nil, 0, udpProto, udp(1000, 1000))
	copy(forged[6:], OtherMAC)
	short := ipv4Frame(Eve4, nil, 0, udpProto, udp(67, 68)) // clients with packet sockets look for ports behind the packet's end
	binary.BigEndian.PutUint16(short[16:], 24)
	return map[string][]byte{
		"another source MAC":              forged,
		"ARP of another's address":        arpFrame(2, EveMAC, Other4, Other4),
		"ARP with another's MAC":          arpFrame(2, OtherMAC, Eve4, Eve4),
		"ARP probe of another's address":  arpFrame(1, EveMAC, none4, Other4),
		"ARP, padded types":               ethernetII(EveMAC, 0x0806, u16(6), u16(0x0800), []byte{6, 4}, u16(2), EveMAC, Other4.AsSlice(), make([]byte, 30)),
		"ARP, short":                      ethernetII(EveMAC, 0x0806, u16(1), u16(0x0800), []byte{6, 4}, u16(2)),
		"RARP":                            ethernetII(EveMAC, 0x8035, u16(1), u16(0x0800), []byte{6, 4}, u16(4), EveMAC, Other4.AsSlice(), make([]byte, 30)),
		"another IPv4 source":             ipv4Frame(Other4, nil, 0, udpProto, udp(1000, 1000)),
		"IPv4 without a source":           ipv4Frame(none4, nil, 0, udpProto, udp(1000, 1000)),
		"IPv4 without a source, fragment": ipv4Frame(none4, nil, 0x2000, udpProto, udp(68, 67)),
		"DHCP offer":                      ipv4Frame(Eve4, nil, 0, udpProto, udp(67, 68)),
		"DHCP offer without a source":     ipv4Frame(none4, nil, 0, udpProto, udp(67, 68)),
		"DHCP offer of another port":      ipv4Frame(Eve4, nil, 0, udpProto, udp(1067, 68)),
		"DHCP offer behind options":       ipv4Frame(Eve4, []byte{1, 1, 1, 1, 1, 1, 1, 0}, 0, udpProto, udp(67, 68)),
		"DHCP offer, first fragment":      ipv4Frame(Eve4, nil, 0x2000, udpProto, udp(67, 68)),
		"DHCP offer, a short length":      short,
		"IPv6 in a frame of IPv4":         ethernetII(EveMAC, 0x0800, ipv6Frame(Other6, udpProto, udp(1000, 1000))[14:]),
		"another IPv6 source":             ipv6Frame(Other6, udpProto, udp(1000, 1000)),
		"another link-local source":       ipv6Frame(netip.MustParseAddr("fe80::1"), udpProto, udp(1000, 1000)),
		"IPv6 without a source":           ipv6Frame(none6, udpProto, udp(1000, 1000)),
		"DHCPv6 answer":                   ipv6Frame(eveLocal, udpProto, udp(547, 546)),
		"DHCPv6 answer of another port":   ipv6Frame(eveLocal, udpProto, udp(1547, 546)),
		"DHCPv6 answer in a fragment":     ipv6Frame(eveLocal, fragment, fragment6(udpProto, 1), udp(1547, 546)),
		"DHCPv6 answer behind options":    ipv6Frame(eveLocal, options, longOptions6(udpProto), udp(547, 546)),
		"RA":                              ipv6Frame(eveLocal, icmp6Proto, advertisement),
		"RA behind options":               ipv6Frame(eveLocal, hop, options6(options), longOptions6(icmp6Proto), advertisement),
		"RA behind many options":          ipv6Frame(eveLocal, options, options6(options), options6(options), options6(options), options6(options), options6(options), options6(icmp6Proto), advertisement),
		"RA in a fragment":                ipv6Frame(eveLocal, fragment, fragment6(icmp6Proto, 0), advertisement),
		"RA behind a fragment's options":  ipv6Frame(eveLocal, fragment, fragment6(options, 1), options6(icmp6Proto)),
		"RA behind options, cut off":      ipv6Frame(eveLocal, fragment, fragment6(options, 1), options6(options)),
		"redirect":                        ipv6Frame(eveLocal, icmp6Proto, icmp6(redirect, Other6)),
		"IPv4 redirect":                   ipv4Frame(Eve4, nil, 0, icmp4, icmp(5)),
		"IPv4 redirect, first fragment":   ipv4Frame(Eve4, nil, 0x2000, icmp4, icmp(5)),
		"IPv4 RA":                         ipv4Frame(Eve4, nil, 0, icmp4, icmp(9)),
		"IGMP query":                      ipv4Frame(Eve4, []byte{148, 4, 0, 0}, 0, igmp, icmp(0x11)),
		"IGMP query, a later fragment":    ipv4Frame(Eve4, []byte{148, 4, 0, 0}, 5, igmp, icmp(0x11)),
		"PIM":                             ipv4Frame(Eve4, nil, 0, pim, icmp(0x20)),
		"PIM, a later fragment":           ipv4Frame(Eve4, nil, 5, pim, icmp(0x20)),
		"PIM over IPv6":                   ipv6Frame(eveLocal, pim, icmp(0x20)),
		"IGMP router advertisement":       ipv4Frame(Eve4, nil, 0, igmp, icmp(0x30)),
		"MLD query":                       ipv6Frame(eveLocal, hop, options6(icmp6Proto), icmp6(130, none6)),
		"multicast RA":                    ipv6Frame(eveLocal, icmp6Proto, icmp(151)),
		"end of a multicast router":       ipv6Frame(eveLocal, icmp6Proto, icmp(153)),
		"NA of another's address":         ipv6Frame(Eve6, icmp6Proto, icmp6(na, Other6)),
		"NA of a fragment, short":         ipv6Frame(Eve6, fragment, fragment6(icmp6Proto, 1), icmp6(na, Other6)[:8]),
		"NS that claims another's":        ipv6Frame(none6, icmp6Proto, icmp6(ns, Other6)),
		"NA without a source":             ipv6Frame(none6, icmp6Proto, icmp6(na, Other6)),
		"tagged":                          tagged(ipv4Frame(Eve4, nil, 0, udpProto, udp(1000, 1001)), 0x8100, 7),
		"tagged twice":                    tagged(tagged(ipv4Frame(Eve4, nil, 0, udpProto, udp(1000, 1002)), 0x8100, 7), 0x8100, 8),
		"tagged by 802.1ad":               tagged(ipv4Frame(Eve4, nil, 0, udpProto, udp(1000, 1003)), 0x88a8, 7),
		"tagged by 0x9100":                tagged(ipv4Frame(Eve4, nil, 0, udpProto, udp(1000, 1004)), 0x9100, 7),
		"LLDP":                            ethernetII(EveMAC, 0x88cc, make([]byte, 50)),
		"a length for a type":             ethernetII(EveMAC, 0x0026, []byte{0x42, 0x42, 3}, make([]byte, 50)),
	}
}

// Honest are frames that have to pass, by their names.
func Honest() map[string][]byte {
	const icmp4, igmp, udpProto, icmp6Proto = 1, 2, 17, 58
	return map[string][]byte{
		"ARP":                       arpFrame(1, EveMAC, Eve4, Other4),
		"ARP probe":                 arpFrame(1, EveMAC, none4, Eve4),
		"IPv4":                      ipv4Frame(Eve4, nil, 0, udpProto, udp(1000, 1000)),
		"IPv4 to a server of DHCP":  ipv4Frame(Eve4, nil, 0, udpProto, udp(68, 67)),
		"IPv4, a later fragment":    ipv4Frame(Eve4, nil, 5, udpProto, udp(67, 67)),
		"DHCP discover":             ipv4Frame(none4, nil, 0, udpProto, udp(68, 67)),
		"IPv6":                      ipv6Frame(Eve6, udpProto, udp(1000, 1000)),
		"IPv6 behind options":       ipv6Frame(Eve6, 60, longOptions6(udpProto), udp(1000, 1000)),
		"IPv6, fragments":           ipv6Frame(Eve6, 44, fragment6(udpProto, 1), udp(1000, 1000)),
		"IPv6, a later fragment":    ipv6Frame(Eve6, 44, fragment6(udpProto, 0x50), []byte{134, 1, 2, 3}),
		"TCP over IPv6":             ipv6Frame(Eve6, 6, make([]byte, 20)),
		"DHCPv6 solicit":            ipv6Frame(eveLocal, udpProto, udp(546, 547)),
		"NS":                        ipv6Frame(Eve6, icmp6Proto, icmp6(135, Other6)),
		"NA":                        ipv6Frame(Eve6, icmp6Proto, icmp6(136, Eve6)),
		"DAD":                       ipv6Frame(none6, icmp6Proto, icmp6(135, Eve6)[:24]),
		"DAD of the link-local one": ipv6Frame(none6, icmp6Proto, icmp6(135, eveLocal)[:24]),
		"RS":                        ipv6Frame(none6, icmp6Proto, []byte{133, 0, 0, 0, 0, 0, 0, 0}),
		"echo":                      ipv4Frame(Eve4, nil, 0, icmp4, icmp(8)),
		"IPv4 RS":                   ipv4Frame(Eve4, nil, 0, icmp4, icmp(10)),
		"IGMP report":               ipv4Frame(Eve4, []byte{148, 4, 0, 0}, 0, igmp, icmp(0x22)),
		"IGMP report of version 2":  ipv4Frame(Eve4, []byte{148, 4, 0, 0}, 0, igmp, icmp(0x16)),
		"IGMP leave":                ipv4Frame(Eve4, []byte{148, 4, 0, 0}, 0, igmp, icmp(0x17)),
		"ICMP, a later fragment":    ipv4Frame(Eve4, nil, 5, icmp4, icmp(5)),
		"MLD done":                  ipv6Frame(eveLocal, 0, options6(icmp6Proto), icmp6(132, none6)),
		"MLD report":                ipv6Frame(none6, 0, options6(icmp6Proto), []byte{143, 0, 0, 0, 0, 0, 0, 0}),
	}
}
