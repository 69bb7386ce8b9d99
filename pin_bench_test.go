//go:build linux

package pipework_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
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
