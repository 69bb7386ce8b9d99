package dhcp

import (
	"encoding/binary"
	"net/netip"
)

// UDP's ports of DHCP (RFC 2131 section 4.1), and the lengths of its headers.
const (
	serverPort = 67
	clientPort = 68
	ipHeader   = 20 // without options
	udpHeader  = 8
)

// datagram is an IPv4 packet (RFC 791) with a UDP datagram (RFC 768) from client
// to server.
func datagram(from, to netip.Addr, payload []byte) []byte {
	length := udpHeader + len(payload)
	b := make([]byte, ipHeader, ipHeader+length)
	b[0] = 4<<4 | ipHeader/4
	binary.BigEndian.PutUint16(b[2:], uint16(ipHeader+length))
	b[8], b[9] = 64, 17 // hops, UDP
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(0, b))
	b = binary.BigEndian.AppendUint16(b, clientPort)
	b = binary.BigEndian.AppendUint16(b, serverPort)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0)
	b = append(b, payload...)
	sum := checksum(17+uint32(length), b[12:]) // addresses, and all of UDP
	if sum == 0 {
		sum = 0xffff // 0 means none
	}
	binary.BigEndian.PutUint16(b[ipHeader+6:], sum)
	return b
}

// checksum is the Internet checksum (RFC 1071) of b, begun with sum.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// payload takes the UDP payload to the client out of an IPv4 packet. Checksums
// are not looked at: inside one host the kernel leaves them out.
func payload(packet []byte) (from netip.Addr, data []byte, ok bool) {
	if len(packet) < ipHeader || packet[0]>>4 != 4 || packet[9] != 17 {
		return from, nil, false
	}
	start, end := int(packet[0]&15)*4, int(binary.BigEndian.Uint16(packet[2:]))
	if start < ipHeader || end > len(packet) || start+udpHeader > end {
		return from, nil, false
	}
	udp := packet[start:end]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(packet[6:])&0x3fff != 0 || // a fragment
		binary.BigEndian.Uint16(udp[2:]) != clientPort || length < udpHeader || length > len(udp) {
		return from, nil, false
	}
	return netip.AddrFrom4([4]byte(packet[12:16])), udp[udpHeader:length], true
}
