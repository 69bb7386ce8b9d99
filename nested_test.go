//go:build linux

package pipework_test

import (
	"net/netip"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
)

// TestNestedBridge attaches by the example's backend, twice, and detaches.
func TestNestedBridge(t *testing.T) {
	target, guest := nstest.Guest(t)
	world := nstest.Observe(t, guest.Handle)
	s := pipework.Spec{Name: "br0", Link: NestedBridge{}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	for _, existed := range []bool{false, true} {
		if at := attach(t, target, s); at.Existed != existed || at.Link != "nested" || len(at.Mended) > 0 {
			t.Errorf("attached %+v", at)
		}
	}
	for _, want := range []bool{true, false} {
		if found, err := pipework.Detach(t.Context(), target, s); found != want || err != nil {
			t.Errorf("detached: %v, %v", found, err)
		}
	}
	world.Unchanged(t)
}
