//go:build linux

package pipework_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/pintest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// BenchmarkAttachPinned attaches a guest with a pin and one without in turn, while others
// are pinned: for the first one of all the kernel changes its own code.
func BenchmarkAttachPinned(b *testing.B) {
	crowd(b, 2)
	br, err := net.InterfaceByName("br9")
	if err != nil {
		b.Fatal(err)
	}
	plain := pipework.Spec{Name: "eth9", Link: link.Bridge{Name: "br9"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")}}
	pinned := plain
	pinned.Pin = true
	with, without := newPair(b, br, 0), newPair(b, br, 1)
	newPair(b, br, 2).runAttach(b, pinned)
	var one, other []time.Duration
	for n := 0; b.Loop(); n++ {
		if n%2 == 0 { // neither always comes second
			one = append(one, with.runAttach(b, pinned))
		}
		other = append(other, without.runAttach(b, plain))
		if n%2 != 0 {
			one = append(one, with.runAttach(b, pinned))
		}
		b.StopTimer()
		for _, p := range []*pair{with, without} {
			if _, err := pipework.Detach(b.Context(), p.target, plain); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(median(one).Microseconds()), "pinned-µs")
	b.ReportMetric(float64(median(other).Microseconds()), "plain-µs")
}

// BenchmarkFrames has a guest send a frame to a neighbour on the bridge, which the kernel takes
// there and then: pinned and not.
func BenchmarkFrames(b *testing.B) {
	for _, one := range []struct {
		name string
		pin  bool
	}{{"plain", false}, {"pinned", true}} {
		b.Run(one.name, func(b *testing.B) {
			eve, g := nstest.Guest(b)
			near, _ := nstest.Guest(b)
			spec, other := eveSpec(), eveSpec()
			spec.Pin = one.pin
			other.Pin, other.MAC, other.Addrs = false, pintest.OtherMAC, []netip.Prefix{netip.PrefixFrom(pintest.Other4, 24)}
			for target, s := range map[ns.Named]pipework.Spec{eve: spec, near: other} {
				if _, err := pipework.Attach(b.Context(), target, s); err != nil {
					b.Fatal(err)
				}
				defer func() { _, _ = pipework.Detach(context.Background(), target, s) }()
			}
			fd, index := pintest.PacketSocket(b, g, 0)
			to := unix.SockaddrLinklayer{Ifindex: index, Halen: 6}
			frame := pintest.Honest()["IPv4"]
			copy(frame, pintest.OtherMAC)
			for b.Loop() {
				if err := unix.Sendto(fd, frame, 0, &to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
