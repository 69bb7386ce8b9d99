//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

func hostEnd() link.Veth {
	return link.Veth{HostAddrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.254/24"), netip.MustParsePrefix("fd01::fe/64")}}
}

func TestContractVeth(t *testing.T) {
	contract.Run(t, contract.Case{Many: true, Setup: func(testing.TB) link.Backend { return hostEnd() }})
}

// Guest and host reach each other by both families, as soon as the attach returns.
func TestVethReachesTheHost(t *testing.T) {
	guest, g := nstest.Guest(t)
	other, og := nstest.Guest(t)
	h := host(t)
	world := nstest.Observe(t, g.Handle, og.Handle)
	b := hostEnd()
	b.HostName = "web0"
	at := plug(t, guest, b, "10.1.0.1/24", "fd01::1/64")
	if at.HostName != "web0" || at.Link != "veth:web0" {
		t.Errorf("attached %+v", at)
	}
	for _, to := range []string{"10.1.0.254", "fd01::fe"} {
		nstest.Ping(t, g.Handle, to)
	}
	for _, to := range []string{"10.1.0.1", "fd01::1"} {
		nstest.Ping(t, h.Handle, to)
	}
	if _, err := pipework.Attach(t.Context(), other, pipework.Spec{Link: b}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("another guest's pair of the same name: %v", err)
	}
	unplug(t, guest, nil)
	world.Unchanged(t)
}

// What somebody takes from the host's end is told, and put back.
func TestVethIsMended(t *testing.T) {
	guest, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	b := hostEnd()
	at := plug(t, guest, b, "10.1.0.1/24")
	attached := nstest.Observe(t, g.Handle)
	onHost(t, func(h *netlink.Handle) {
		l, err := h.LinkByName(at.HostName)
		must(t, err)
		a, err := netlink.ParseAddr("10.1.0.254/24")
		must(t, err)
		must(t, h.AddrDel(l, a))
		must(t, h.LinkSetDown(l)) // which takes the IPv6 address away
	})
	checked, err := pipework.Check(t.Context(), guest, pipework.Spec{Link: b, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}})
	if err != nil || !slices.Contains(checked.Drifts, "host end "+at.HostName+" lacks 10.1.0.254/24") || len(checked.Drifts) != 3 {
		t.Errorf("check: %+v, %v", checked, err)
	}
	if again := plug(t, guest, b, "10.1.0.1/24"); len(again.Mended) != 3 {
		t.Errorf("mended %+v", again)
	}
	attached.Unchanged(t)
	b.HostAddrs = b.HostAddrs[:1]
	if _, err := pipework.Attach(t.Context(), guest, pipework.Spec{Link: b, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("other addresses for the host's end: %v", err)
	}
	unplug(t, guest, nil)
	world.Unchanged(t)
}

// Nothing stays on the host of a guest that died.
func TestVethGoesWithItsGuest(t *testing.T) {
	world := nstest.Observe(t)
	p := nstest.Process(t)
	at := plug(t, ns.PID(p.PID), hostEnd(), "10.1.0.1/24")
	_ = p.Kill()
	testwait.Eventually(t, "the host's end is gone", func() bool { return !exists(at.HostName) })
	unplug(t, ns.PID(p.PID), hostEnd())
	world.Unchanged(t)
}
