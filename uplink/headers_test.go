//go:build linux

package uplink_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/uplink"
)

// forged is a router advertisement as a frame, with a tag of VLAN 0 before it, or headers between
// those of IPv6 and ICMPv6, the first of which has this number.
func forged(mac []byte, tag bool, next byte, headers []byte) []byte {
	src, dst := netip.MustParseAddr("fe80::bad").AsSlice(), netip.MustParseAddr("ff02::1").AsSlice()
	ra := []byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0}
	ra = append(ra, netip.MustParseAddr("2001:db8:bad::").AsSlice()...)
	var sum uint32
	for pseudo := slices.Concat(src, dst, []byte{0, 0, 0, byte(len(ra)), 0, 0, 0, 58}, ra); len(pseudo) > 0; pseudo = pseudo[2:] {
		sum += uint32(binary.BigEndian.Uint16(pseudo))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ra[2:], ^uint16(sum))
	frame := append([]byte{0x33, 0x33, 0, 0, 0, 1}, mac...)
	if tag {
		frame = append(frame, 0x81, 0, 0, 0)
	}
	frame = append(frame, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(headers)+len(ra)), next, 255)
	return slices.Concat(frame, src, dst, headers, ra)
}

// TestHeaders: a guest's advertisement does not count either with what stands before it.
func TestHeaders(t *testing.T) {
	s := newScene(t)
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	_, guest := nstest.Guest(t)
	ip(t, guest, "link add eth1 address 02:00:00:00:0b:ad type veth peer name port netns "+s.name, "link set eth1 up")
	s.join(t, "port")
	atRest(t, guest)
	mac := []byte{2, 0, 0, 0, 0x0b, 0xad}
	pad := []byte{58, 0, 1, 4, 0, 0, 0, 0}
	send := func() {
		for _, f := range [][]byte{
			forged(mac, false, 58, nil),
			forged(mac, true, 58, nil),
			forged(mac, false, 0, pad),
			forged(mac, false, 60, pad),
			forged(mac, false, 60, slices.Concat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, pad)),
			forged(mac, false, 43, []byte{58, 0, 0, 0, 0, 0, 0, 0}),
			forged(mac, false, 44, []byte{58, 0, 0, 0, 0, 0, 0, 1}),
		} {
			err := guest.Do(t.Context(), func() error {
				fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer func() { _ = unix.Close(fd) }()
				index, err := ifindex(fd, "eth1")
				if err != nil {
					return err
				}
				return unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: index, Halen: 6})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	send()
	ip(t, s.router, "addr add 2001:db8:1::1/64 dev eth0 nodad")
	advertise(t, s.router, "eth0", advertisement("2001:db8:1::", 30*time.Minute, time.Hour))
	testwait.Eventually(t, "the router is heard", func() bool { return strings.Contains(show(t, s.host, "-6 addr"), "2001:db8:1:") })
	if text := s.snapshot(t); strings.Contains(text, "db8:bad") {
		t.Errorf("the host follows what a guest advertises:\n%s", text)
	}
	// Without the tables it would.
	s.dropTables(t)
	send()
	testwait.Eventually(t, "a guest is heard", func() bool { return strings.Contains(show(t, s.host, "-6 addr"), "2001:db8:bad:") })
}

// ifindex is the index of the interface in the namespace of the socket.
func ifindex(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	}
	if err != nil {
		return 0, err
	}
	return int(req.Uint32()), nil
}
