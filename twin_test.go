//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/keeptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestRefusesTwin attaches again what somebody in the guest has renamed: that is told, and
// changes nothing, whatever the link. With its name back it is found.
func TestRefusesTwin(t *testing.T) {
	keeptest.MakeNIC(t, "nicx", "02:00:00:00:09:09")
	keeptest.MakeNIC(t, "nicy", "02:00:00:00:09:08")
	for name, row := range map[string]struct {
		link    link.Backend
		unmark  bool
		batched bool
	}{
		"bridge":              {link: link.Bridge{Name: "br1"}},
		"bridge in a batch":   {link: link.Bridge{Name: "br1"}, batched: true},
		"bridge with a name":  {link: link.Bridge{Name: "br1", HostName: "web0"}},
		"bridge and unmarked": {link: link.Bridge{Name: "br1"}, unmark: true},
		"veth":                {link: link.Veth{}},
		"macvlan":             {link: link.Macvlan{Parent: "nicx"}},
		"ipvlan":              {link: link.Ipvlan{Parent: "nicx"}},
		"dummy":               {link: link.Dummy{}},
		"VLAN":                {link: link.VLAN{Parent: "nicx", VLAN: 7}},
		"NIC":                 {link: link.Phys{Device: "nicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			target, g := nstest.Guest(t)
			other, _ := nstest.Guest(t)
			s := spec("eth1", "", "10.1.0.2/24")
			s.Link = row.link
			if _, err := pipework.Attach(t.Context(), target, s); errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			defer detach(t, target, s)
			called := func(from, to string) {
				t.Helper()
				keeptest.InGuest(t, g, func(h *netlink.Handle) {
					l := keeptest.LinkOf(t, h, from)
					err := errors.Join(h.LinkSetDown(l), h.LinkSetName(l, to), h.LinkSetUp(l))
					if row.unmark {
						err = errors.Join(err, h.LinkSetAlias(l, "mine"))
					}
					if err != nil {
						t.Fatal(err)
					}
				})
			}
			called("eth1", "lan0")
			world := nstest.Observe(t, g.Handle)
			var err error
			if row.batched {
				_, err = pipework.AttachAll(t.Context(), []pipework.Job{{Target: target, Spec: s}, {Target: other, Spec: spec("eth1", "br1")}})
				detach(t, other, spec("eth1", "br1"))
			} else {
				_, err = pipework.Attach(t.Context(), target, s)
			}
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "it is called lan0 in the guest now: detach it first, or rename it back (ip link set lan0 name eth1)") {
				t.Errorf("attach again: %v", err)
			}
			world.Unchanged(t)
			called("lan0", "eth1")
			if row.unmark {
				return
			}
			if at := attach(t, target, s); !at.Existed {
				t.Errorf("with its name back: %+v", at)
			}
		})
	}
}

// TestQuotesTwin has the guest choose a name that a shell would not take for one.
func TestQuotesTwin(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.2/24")
	attach(t, target, s)
	defer detach(t, target, s)
	keeptest.InGuest(t, g, func(h *netlink.Handle) {
		l := keeptest.LinkOf(t, h, "eth1")
		if err := errors.Join(h.LinkSetDown(l), h.LinkSetName(l, "a\x1b[31m;reboot"), h.LinkSetUp(l)); err != nil {
			t.Fatal(err)
		}
	})
	_, err := pipework.Attach(t.Context(), target, s)
	if err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), `(ip link set $'a\x1b[31m;reboot' name eth1)`) {
		t.Errorf("attach again: %v", err)
	}
}
