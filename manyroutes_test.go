//go:build linux

package pipework_test

import (
	"errors"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// TestManyRoutes has a guest with more routes than anybody has: no call takes memory for them.
func TestManyRoutes(t *testing.T) {
	many := 100_000
	if testing.Short() {
		many = 50_000
	}
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	h := open(t, g)
	defer func() { _ = h.Close() }()
	lo, err := h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		dst := net.IPv4(11, byte(i>>16), byte(i>>8), byte(i)).To4()
		err := h.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: &net.IPNet{IP: dst, Mask: net.CIDRMask(32, 32)}, Scope: netlink.SCOPE_LINK})
		if err != nil && !errors.Is(err, unix.EEXIST) {
			t.Fatal(err)
		}
	}
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1")
	attach(t, target, s)
	if _, err := pipework.Check(t.Context(), target, s); err != nil {
		t.Error(err)
	}
	if _, err := pipework.List(t.Context(), target); err != nil {
		t.Error(err)
	}
	detach(t, target, s)
	runtime.ReadMemStats(&after)
	if grew := int64(after.HeapSys) - int64(before.HeapSys); grew > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grew>>20)
	}
}

// TestManyForgedRoutes has a guest forge so many routes of pipework's that an update cannot take them all away: it takes some, and another one more.
func TestManyForgedRoutes(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1")
	attach(t, target, s)
	h := open(t, g)
	defer func() { _ = h.Close() }()
	own, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	const forged = 1500
	for i := range forged {
		dst := &net.IPNet{IP: net.IPv4(11, 0, byte(i>>8), byte(i)).To4(), Mask: net.CIDRMask(32, 32)}
		if err := h.RouteAdd(&netlink.Route{LinkIndex: own.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK, Protocol: rtnl.Protocol}); err != nil {
			t.Fatal(err)
		}
	}
	at := update(t, target, s)
	if len(at.Mended) != 1000 || len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "only 1000 are dealt with") {
		t.Errorf("%d mended, warnings %q", len(at.Mended), at.Warnings)
	}
	if at := update(t, target, s); len(at.Mended) != forged-1000 || len(at.Warnings) != 0 {
		t.Errorf("%d mended, warnings %q", len(at.Mended), at.Warnings)
	}
	detach(t, target, s)
}
