//go:build linux

package link_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestAwait makes an interface ready step by step, and waits for it meanwhile.
func TestAwait(t *testing.T) {
	_, g := nstest.Guest(t)
	_, peer := nstest.Guest(t)
	h, at := handle(t, g.Handle), handle(t, peer.Handle)
	world := nstest.Observe(t, g.Handle, peer.Handle)
	running, addressed := await(t, g.Handle, link.Running), await(t, g.Handle, link.Addressed)

	still(t, running, "before it is there")
	a := netlink.NewLinkAttrs()
	a.Name = "new0"
	must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "wire", PeerNamespace: netlink.NsFd(peer.NetNS())}))
	l, err := h.LinkByName("new0")
	must(t, err)
	must(t, h.LinkSetName(l, "eth1"))
	still(t, running, "while it is down")
	must(t, h.LinkSetUp(l))
	still(t, running, "without carrier")
	wire, err := at.LinkByName("wire")
	must(t, err)
	must(t, at.LinkSetUp(wire))
	arrives(t, running)

	still(t, addressed, "without an address")
	addr, err := netlink.ParseAddr("fd00::1/64")
	must(t, err)
	must(t, h.AddrAdd(l, addr))
	still(t, addressed, "while the address is tentative")
	began := time.Now()
	arrives(t, addressed)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("duplicate address detection took %v: was it there?", took)
	}
	if err := link.Await(t.Context(), g.Handle, "eth1", link.Addressed); err != nil {
		t.Errorf("what is ready already: %v", err)
	}
	must(t, h.LinkDel(l))
	world.Unchanged(t)
}

// TestAwaitGivesUp says what is missing.
func TestAwaitGivesUp(t *testing.T) {
	_, g := nstest.Guest(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := link.Await(ctx, g.Handle, "eth1", link.Running)
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "gave up waiting for eth1: there is no such interface" {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := link.Await(ctx, g.Handle, "lo", link.Running); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := link.Await(t.Context(), nil, "lo", link.Running); err != nil {
		t.Errorf("the loopback of this namespace: %v", err)
	}
	if err := link.Await(t.Context(), nil, "no/name", link.Running); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a bad name: %v", err)
	}
}

// TestAwaitDuplicate has an address that another node has.
func TestAwaitDuplicate(t *testing.T) {
	_, one := nstest.Guest(t)
	_, two := nstest.Guest(t)
	h, at := handle(t, one.Handle), handle(t, two.Handle)
	a := netlink.NewLinkAttrs()
	a.Name = "eth1"
	must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "eth1", PeerNamespace: netlink.NsFd(two.NetNS())}))
	addr, err := netlink.ParseAddr("fd00::1/64")
	must(t, err)
	for i, h := range []*netlink.Handle{at, h} {
		l, err := h.LinkByName("eth1")
		must(t, err)
		must(t, h.LinkSetUp(l))
		if addr.Flags = 0; i == 0 {
			addr.Flags = unix.IFA_F_NODAD
		}
		must(t, h.AddrAdd(l, addr))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	err = link.Await(ctx, one.Handle, "eth1", link.Addressed)
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "gave up waiting for eth1: another node has its address "+netip.MustParsePrefix("fd00::1/64").String() {
		t.Error(err)
	}
}

// await waits in the background.
func await(t *testing.T, h *ns.Handle, s link.State) <-chan error {
	done := make(chan error, 1)
	go func() { done <- link.Await(t.Context(), h, "eth1", s) }()
	return done
}

func still(t *testing.T, waits <-chan error, when string) {
	t.Helper()
	select {
	case err := <-waits:
		t.Fatalf("%s the wait ended: %v", when, err)
	case <-time.After(100 * time.Millisecond):
	}
}

func arrives(t *testing.T, waits <-chan error) {
	t.Helper()
	must(t, testwait.Receive(t, "the wait ends", waits))
}

func handle(t *testing.T, at *ns.Handle) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(at.NetNS(), unix.NETLINK_ROUTE)
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
