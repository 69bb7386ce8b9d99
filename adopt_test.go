//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// moveOn moves an interface of one guest on into another, and gives it a name and an address
// there, as Docker does.
func moveOn(t *testing.T, from, to *ns.Guest, was, name, addr string) {
	t.Helper()
	a, err := from.Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	l, err := a.LinkByName(was)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.LinkSetNsFd(l, int(to.NetNS())); err != nil {
		t.Fatal(err)
	}
	b, err := to.Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if l, err = b.LinkByName(was); err != nil {
		t.Fatal(err)
	}
	ip, err := netlink.ParseAddr(addr)
	if err == nil {
		err = errors.Join(b.LinkSetName(l, name), b.AddrAdd(l, ip), b.LinkSetUp(l))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdopt is an interface that somebody moves on into another guest: it is that guest's then.
func TestAdopt(t *testing.T) {
	for _, on := range []link.Backend{link.Bridge{Name: "br-adopt"}, link.Macvlan{Parent: "adopt0"}} {
		t.Run(on.String(), func(t *testing.T) {
			room, first := nstest.Guest(t)
			guest, second := nstest.Guest(t)
			if on.String() == "macvlan:adopt0" {
				addNIC(t, "adopt0")
			}
			before := nstest.Observe(t, first.Handle, second.Handle)
			waiting := pipework.Spec{Link: on, Name: "pw0", MAC: link.RandomMAC()}
			if _, err := pipework.Attach(t.Context(), room, waiting); err != nil {
				t.Fatal(err)
			}
			s := waiting
			s.Addrs = []netip.Prefix{netip.MustParsePrefix("10.6.0.2/24")}
			a := new(pipework.Attacher)
			if _, err := a.Adopt(t.Context(), guest, s); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("before it is there: %v", err)
			}
			moveOn(t, first, second, "pw0", "lan0", "10.6.0.2/24")
			for range 2 { // the second finds what a call that was killed has marked
				name, err := a.Adopt(t.Context(), guest, s)
				if err != nil || name != "lan0" {
					t.Fatalf("%q, %v", name, err)
				}
			}
			s.Name = "lan0"
			at, err := pipework.Attach(t.Context(), guest, s)
			if err != nil || !at.Existed || len(at.Mended) > 0 {
				t.Errorf("%+v, %v", at, err)
			}
			if found, err := pipework.Check(t.Context(), guest, s); err != nil || len(found.Drifts) > 0 {
				t.Errorf("%+v, %v", found, err)
			}
			if _, err := pipework.Detach(t.Context(), guest, pipework.Spec{Name: "lan0"}); err != nil {
				t.Error(err)
			}
			before.Unchanged(t)
		})
	}
}

// TestAdoptsNoFake is a guest that marks a pair of its own as if it were pipework's.
func TestAdoptsNoFake(t *testing.T) {
	guest, g := nstest.Guest(t)
	h, err := g.Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	a := netlink.NewLinkAttrs()
	a.Name = "lan0"
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "lan1"}); err != nil {
		t.Fatal(err)
	}
	l, err := h.LinkByName("lan0")
	if err == nil {
		err = errors.Join(h.LinkSetUp(l), h.LinkSetAlias(l, "pipework link=bridge:br-adopt interface=pw0"))
	}
	if err != nil {
		t.Fatal(err)
	}
	before := nstest.Observe(t, g.Handle)
	_, err = new(pipework.Attacher).Adopt(t.Context(), guest, pipework.Spec{Link: link.Bridge{Name: "br-adopt"}, Name: "pw0"})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
	before.Unchanged(t)
}
