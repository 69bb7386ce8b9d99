//go:build linux

package keep_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

func namedGuest(word string) pipework.Target { return ns.Named(strings.TrimPrefix(word, "netns:")) }

// forgetNIC removes what the host knows of an interface of its own in a guest.
func forgetNIC(t *testing.T, name string) {
	t.Helper()
	files, err := filepath.Glob("/run/pipework-nics/*")
	must(t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		must(t, err)
		if strings.Contains(string(text), `"name":"`+name+`"`) {
			must(t, os.Remove(f))
		}
	}
}

// TestRecordOfAnotherKind has a guest that had a NIC, and gives what it has on a
// bridge, or a macvlan, the mark that the NIC bore: the record says what it is.
func TestRecordOfAnotherKind(t *testing.T) {
	for _, line := range []string{"br7", "up0"} {
		t.Run(line, func(t *testing.T) {
			makeNIC(t, "nicx", "02:00:00:00:09:09")
			makeNIC(t, "up0", "02:00:00:00:09:07")
			named, g := nstest.Guest(t)
			word := "netns:" + string(named)
			p := keep.Plugger{Store: store(t), Target: byText(namedGuest)}
			world := nstest.Observe(t, g.Handle)
			typed(t, p, "--direct-phys nicx "+word+" 10.0.0.9/24")
			var alias string
			inGuest(t, g, func(h *netlink.Handle) { alias = linkOf(t, h, "eth1").Attrs().Alias })
			detached(t, p, word, "")
			typed(t, p, line+" "+word+" 10.0.0.9/24")
			inGuest(t, g, func(h *netlink.Handle) { must(t, h.LinkSetAlias(linkOf(t, h, "eth1"), alias)) })
			detached(t, p, word, "")
			world.Unchanged(t)
		})
	}
}

// TestNICHeldBack has a guest that puts a link of its own in the NIC's place, where
// the host has lost its knowledge of the NIC: detach refuses, and its record stays.
func TestNICHeldBack(t *testing.T) {
	makeNIC(t, "nicx", "02:00:00:00:09:09")
	named, g := nstest.Guest(t)
	word := "netns:" + string(named)
	s := store(t)
	p := keep.Plugger{Store: s, Target: byText(namedGuest)}
	world := nstest.Observe(t, g.Handle)
	typed(t, p, "--direct-phys nicx "+word+" 10.0.0.9/24")
	forgetNIC(t, "nicx")
	_, err := p.Detach(t.Context(), ns.ParseRef(word), "", keep.DetachOptions{})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("detach: %v", err)
	}
	if _, err := s.Get(ns.ParseRef(word), "eth1"); err != nil {
		t.Error(err)
	}
	_, err = p.Detach(t.Context(), ns.ParseRef(word), "", keep.DetachOptions{Force: true})
	must(t, err)
	if _, err := s.Get(ns.ParseRef(word), "eth1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its record: %v", err)
	}
	inGuest(t, g, func(h *netlink.Handle) {
		if _, err := h.LinkByName("eth1"); err == nil {
			t.Error("it is still in the guest")
		}
	})
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	must(t, err)
	must(t, h.LinkSetUp(linkOf(t, h, "nicx"))) // which nobody knew any more
	h.Close()
	world.Unchanged(t)
}

// TestNICMovedOn has a guest move the NIC on, and put in its place what is said to be of another
// kind, or nobody's: detach brings the NIC home.
func TestNICMovedOn(t *testing.T) {
	for _, alias := range []string{"mine", "pipework link=bridge:br9 interface=eth1", "pipework link=macvlan:br9 interface=eth1", "pipework link=phys:nicx interface=eth5"} {
		t.Run(alias, func(t *testing.T) {
			makeNIC(t, "nicx", "02:00:00:00:09:09")
			named, g := nstest.Guest(t)
			_, other := nstest.Guest(t)
			word := "netns:" + string(named)
			p := keep.Plugger{Store: store(t), Target: byText(namedGuest)}
			world := nstest.Observe(t)
			typed(t, p, "--direct-phys nicx "+word+" 10.0.0.9/24")
			inGuest(t, g, func(h *netlink.Handle) {
				must(t, h.LinkSetNsFd(linkOf(t, h, "eth1"), int(other.NetNS())))
				a := netlink.NewLinkAttrs()
				a.Name = "eth1"
				must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "eth7"}))
				must(t, h.LinkSetAlias(linkOf(t, h, "eth1"), alias))
			})
			detached(t, p, word, "")
			world.Unchanged(t)
		})
	}
}

// TestNICClaimedUnderAnotherName has a guest that removes what is recorded, and gives a link
// of its own, called otherwise, the mark of a NIC for that name: the record is detached.
func TestNICClaimedUnderAnotherName(t *testing.T) {
	named, g := nstest.Guest(t)
	word := "netns:" + string(named)
	p := keep.Plugger{Store: store(t), Target: byText(namedGuest)}
	world := nstest.Observe(t)
	typed(t, p, "br7 "+word+" 10.0.0.9/24")
	inGuest(t, g, func(h *netlink.Handle) {
		must(t, h.LinkDel(linkOf(t, h, "eth1")))
		a := netlink.NewLinkAttrs()
		a.Name = "d499"
		must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "c499"}))
		must(t, h.LinkSetAlias(linkOf(t, h, "d499"), "pipework link=phys:nicx interface=eth1"))
	})
	detached(t, p, word, "")
	world.Unchanged(t)
}

// TestPairOfTheGuestsOwn has a guest put a pair of its own, with the mark, in the place of what
// is recorded: it has no end on the host. The record is detached.
func TestPairOfTheGuestsOwn(t *testing.T) {
	for _, line := range []string{"br7", "veth:evil0"} {
		for _, of := range []string{"", "br8"} { // the bridge that the mark says
			t.Run(line+of, func(t *testing.T) {
				named, g := nstest.Guest(t)
				word := "netns:" + string(named)
				p := keep.Plugger{Store: store(t), Target: byText(namedGuest)}
				world := nstest.Observe(t)
				typed(t, p, line+" "+word+" 10.0.0.9/24")
				inGuest(t, g, func(h *netlink.Handle) {
					l := linkOf(t, h, "eth1")
					alias := l.Attrs().Alias
					must(t, h.LinkDel(l))
					a := netlink.NewLinkAttrs()
					a.Name, a.Index = "t140", 7777 // whose other end has an index that the host does not have
					must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "eth5"}))
					if of != "" {
						alias = strings.ReplaceAll(alias, "link="+line, "link=bridge:"+of)
						alias = strings.ReplaceAll(alias, "link=bridge:"+line, "link=bridge:"+of)
					}
					must(t, h.LinkSetAlias(linkOf(t, h, "eth5"), alias))
				})
				detached(t, p, word, "")
				world.Unchanged(t)
			})
		}
	}
}

// TestUnmarkedMacvlan has a guest take the mark from a macvlan, and perhaps the name: detach by
// the record takes it away, and nothing else that stands on the NIC.
func TestUnmarkedMacvlan(t *testing.T) {
	for name, hide := range map[string]func(h *netlink.Handle, l netlink.Link) error{
		"no mark": func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetAlias(l, "mine") },
		"another mark": func(h *netlink.Handle, l netlink.Link) error {
			return h.LinkSetAlias(l, "pipework link=bridge:br9 interface=eth5")
		},
		"renamed": func(h *netlink.Handle, l netlink.Link) error {
			return errors.Join(h.LinkSetAlias(l, ""), h.LinkSetDown(l), h.LinkSetName(l, "hidden"))
		},
		"another MAC": func(h *netlink.Handle, l netlink.Link) error {
			return errors.Join(h.LinkSetAlias(l, ""), h.LinkSetHardwareAddr(l, []byte{2, 0, 0, 0, 1, 1}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			makeNIC(t, "up0", "02:00:00:00:09:07")
			named, g := nstest.Guest(t)
			word := "netns:" + string(named)
			p := keep.Plugger{Store: store(t), Target: byText(namedGuest)}
			addMacvlan(t, "up0", g) // of somebody else's, as Docker makes it
			world := nstest.Observe(t, g.Handle)
			typed(t, p, "up0 "+word+" 10.0.0.9/24")
			inGuest(t, g, func(h *netlink.Handle) { must(t, hide(h, linkOf(t, h, "eth1"))) })
			detached(t, p, word, "")
			world.Unchanged(t)
		})
	}
}

// addMacvlan gives a guest eth0 as a macvlan on an interface of the host's.
func addMacvlan(t *testing.T, on string, g *ns.Guest) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	must(t, err)
	defer func() { _ = h.Close() }()
	a := netlink.NewLinkAttrs()
	a.Name, a.ParentIndex, a.Namespace = "eth0", linkOf(t, h, on).Attrs().Index, netlink.NsFd(int(g.NetNS()))
	must(t, h.LinkAdd(&netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}))
}
