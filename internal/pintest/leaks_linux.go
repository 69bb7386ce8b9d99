package pintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// A sender sends frames as they are, by the guest's eth1.
type sender struct {
	t  testing.TB
	fd int
	to unix.SockaddrLinklayer
}

// PacketSocket is one by which a guest's eth1 sends and hears frames as they are.
func PacketSocket(t testing.TB, g *ns.Guest, proto int) (fd, index int) {
	t.Helper()
	err := g.Do(t.Context(), func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		index = ifi.Index
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index, Protocol: uint16(proto>>8 | proto<<8&0xff00)})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, index
}

func newSender(t testing.TB, g *ns.Guest) *sender {
	fd, index := PacketSocket(t, g, 0)
	return &sender{t, fd, unix.SockaddrLinklayer{Ifindex: index, Halen: 6}}
}

func (s *sender) send(frame []byte) {
	s.t.Helper()
	if err := unix.Sendto(s.fd, frame, 0, &s.to); err != nil {
		s.t.Fatal(err)
	}
}

// A hearer hears all frames that arrive at a guest's eth1, with the tags that they bear.
type hearer struct {
	t  testing.TB
	fd int
}

func newHearer(t testing.TB, g *ns.Guest) *hearer {
	fd, index := PacketSocket(t, g, unix.ETH_P_ALL)
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	return &hearer{t, fd}
}

// until hears frames until this one, and tells what it heard.
func (h *hearer) until(last []byte) (heard [][]byte) {
	h.t.Helper()
	for buf := make([]byte, 2048); ; {
		n, err := unix.Read(h.fd, buf)
		if err != nil {
			h.t.Fatalf("the last frame was not heard: %v", err)
		}
		if bytes.Equal(buf[:n], last) {
			return heard
		}
		heard = append(heard, slices.Clone(buf[:n]))
	}
}

// Leaks has one guest send frames, and tells which of them another one heard. The tag of a frame
// is not in what a packet socket hears.
func Leaks(t *testing.T, from, to *ns.Guest, frames map[string][]byte) (names []string) {
	t.Helper()
	t.Run("leaks", func(t *testing.T) {
		s, h := newSender(t, from), newHearer(t, to)
		for _, name := range slices.Sorted(maps.Keys(frames)) {
			s.send(frames[name])
		}
		names = h.heard(s, frames)
	})
	return names
}

// Often is Leaks for frames that not all pass the same way: each is sent so often that it passes
// by every one.
func Often(t *testing.T, from, to *ns.Guest, frames map[string][]byte) (names []string) {
	t.Helper()
	t.Run("often", func(t *testing.T) {
		by, h := newSender(t, from), newHearer(t, to)
		for i, name := range slices.Sorted(maps.Keys(frames)) {
			for range 40 {
				by.send(frames[name])
			}
			last := ipv4Frame(Eve4, nil, 0, 17, udp(9, 1000+i))
			for range 40 {
				by.send(last)
			}
			for _, f := range h.until(last) {
				if bytes.Equal(f, frames[name]) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	})
	return names
}

// last is one of the frames that may pass, after which nothing is waited for. Each is for a new MAC:
// Open vSwitch's kernel module asks ovs-vswitchd what to do with it, as with those before it, so
// that it does not overtake them.
func last() []byte {
	frame := ipv4Frame(Eve4, nil, 0, 17, udp(9, 9))
	frame[0] = 2
	_, _ = rand.Read(frame[1:6])
	return frame
}

// heard tells which of these frames were heard, of those that have been sent. It sends one more, and
// when that was heard another one: the datapath in userspace takes some frames together, and among
// them those first that it does not know.
func (h *hearer) heard(by *sender, frames map[string][]byte) (names []string) {
	h.t.Helper()
	var all [][]byte
	for range 2 {
		end := last()
		by.send(end)
		all = append(all, h.until(end)...)
	}
	for _, f := range all {
		for name, sent := range frames {
			if bytes.Equal(f, sent) || strings.HasPrefix(name, "tagged") && bytes.HasSuffix(f, sent[16:]) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Ambush calls f with what a guest may do at any time: set its eth1 up, if it has one, and send
// frames of another's address. It tells what another guest heard of those until a frame that may
// pass, which is sent at the end; of how many times that there was an eth1 it makes sure.
func Ambush(t *testing.T, from, to *ns.Guest, f func(strike func())) (names []string) {
	t.Helper()
	frames := map[string][]byte{"ambush": Attacks()["another IPv4 source"]}
	t.Run("ambush", func(t *testing.T) {
		h, strikes := newHearer(t, to), 0
		f(func() {
			if strike(from, frames["ambush"]) == nil {
				strikes++
			}
		})
		if strikes < 3 {
			t.Errorf("%d times there was an eth1", strikes)
		}
		names = h.heard(newSender(t, from), frames)
	})
	return names
}

// strike sets the guest's eth1 up, and sends a frame.
func strike(g *ns.Guest, frame []byte) error {
	return g.Do(context.Background(), func() error {
		h, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		l, err := h.LinkByName("eth1")
		if err != nil {
			return err
		}
		if err := h.LinkSetUp(l); err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index, Halen: 6})
	})
}

// Unfiltered keeps the host's firewall from looking into frames on bridges: it drops what
// is malformed.
func Unfiltered(t testing.TB) {
	t.Helper()
	for _, name := range []string{"iptables", "ip6tables", "arptables"} {
		path := "/proc/sys/net/bridge/bridge-nf-call-" + name
		before, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err == nil {
			err = os.WriteFile(path, []byte("0"), 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(path, before, 0) })
	}
}
