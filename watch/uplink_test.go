//go:build linux

package watch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
	"github.com/go-pipework/pipework/watch"
)

// TestMendsUplinks has somebody change the host's uplink, made while it watches: that is mended
// once, and left so when it comes back soon.
func TestMendsUplinks(t *testing.T) {
	makeNIC(t, "nicu", "02:00:00:00:00:0b")
	addr, err := netlink.ParseAddr("10.0.0.2/24")
	must(t, err)
	with := func(name string, do func(*netlink.Handle, netlink.Link) error) {
		t.Helper()
		onTheHost(t, func(h *netlink.Handle) error { return do(h, linkOf(t, h, name)) })
	}
	with("nicu", func(h *netlink.Handle, l netlink.Link) error {
		must(t, h.LinkSetUp(l))
		return h.AddrAdd(l, addr)
	})
	s := store(t)
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s}, Resync: 50 * time.Millisecond})
	plan := uplink.Plan{NIC: "nicu", Bridge: "bru", Store: s}
	_, err = uplink.Move(t.Context(), plan)
	must(t, err)
	t.Cleanup(func() {
		_, err := uplink.Undo(context.WithoutCancel(t.Context()), plan)
		must(t, err)
	})
	ok := func() bool {
		all, err := uplink.List(t.Context(), plan)
		return err == nil && len(all) == 1 && all[0].OK()
	}
	if !ok() {
		t.Error("it is not as recorded")
	}
	with("bru", func(h *netlink.Handle, l netlink.Link) error { return h.AddrDel(l, addr) })
	testwait.Eventually(t, "the address is back", ok)
	with("nicu", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetNoMaster(l) })
	testwait.Eventually(t, "the NIC is a port again", ok)
	testwait.Eventually(t, "it is told", func() bool {
		return strings.Contains(w.said.String(), "address 10.0.0.2/24 is gone") && strings.Contains(w.said.String(), "nicu is no port of bru")
	})
	with("bru", func(h *netlink.Handle, l netlink.Link) error { return h.AddrDel(l, addr) })
	testwait.Eventually(t, "it is left so", func() bool { return strings.Contains(w.said.String(), "uplink not as recorded again, and left so") })
	if ok() {
		t.Error("it was mended again")
	}
	mended, err := uplink.Mend(t.Context(), plan)
	if err != nil || len(mended) == 0 {
		t.Errorf("%q, %v", mended, err)
	}
}
