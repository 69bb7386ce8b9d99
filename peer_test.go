//go:build linux

package pipework_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// to is a pair to eth5 of another guest.
func to(guest ns.Named) link.Veth {
	return link.Veth{
		Peer: ns.Ref{Kind: ns.Netns, Name: string(guest)}, PeerName: "eth5",
		PeerAddrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.254/24"), netip.MustParsePrefix("fd01::fe/64")},
	}
}

// paired is a guest with such a pair to another one, and the world of before.
func paired(t *testing.T) (web, db ns.Named, g, peer *ns.Guest, world *nstest.World) {
	t.Helper()
	web, g = nstest.Guest(t)
	db, peer = nstest.Guest(t)
	world = nstest.Observe(t, g.Handle, peer.Handle)
	plug(t, web, to(db), "10.1.0.1/24", "fd01::1/64")
	return web, db, g, peer, world
}

// TestContractPair runs the contract for a pair of guests, and looks into both.
func TestContractPair(t *testing.T) {
	var peer *ns.Guest
	contract.Run(t, contract.Case{
		Alone: true,
		Setup: func(t testing.TB) link.Backend {
			var db ns.Named
			db, peer = nstest.Guest(t)
			return to(db)
		},
		Beside: func() []*ns.Handle { return []*ns.Handle{peer.Handle} },
	})
}

// Two guests reach each other as soon as the attach returns, and the host has no part in it.
func TestPairOfGuests(t *testing.T) {
	web, g := nstest.Guest(t)
	db, peer := nstest.Guest(t)
	world, host := nstest.Observe(t, g.Handle, peer.Handle), nstest.Observe(t)
	at := plug(t, web, to(db), "10.1.0.1/24", "fd01::1/64")
	if want := "veth:netns:" + string(db) + "/eth5"; at.HostName != "" || at.Link != want {
		t.Errorf("attached %+v, want %s", at, want)
	}
	for _, to := range []string{"10.1.0.254", "fd01::fe"} {
		nstest.Ping(t, g.Handle, to)
	}
	for _, to := range []string{"10.1.0.1", "fd01::1"} {
		nstest.Ping(t, peer.Handle, to)
	}
	host.Unchanged(t)
	all, err := pipework.List(t.Context(), web, db)
	if err != nil || len(all) != 1 || all[0].Guest.Name != "netns:"+string(web) || len(all[0].Drifts) > 0 {
		t.Errorf("list: %+v, %v", all, err)
	}
	unplug(t, web, nil)
	world.Unchanged(t)
}

// What cannot be is refused, and nothing is changed.
func TestPairRefused(t *testing.T) {
	web, db, g, peer, _ := paired(t)
	world := nstest.Observe(t, g.Handle, peer.Handle)
	self, host, kind, gone := to(web), to(db), to(db), to(db)
	host.Peer = ns.ParseRef("/proc/self/ns/net")
	kind.Peer = ns.ParseRef("docker:db")
	gone.Peer = ns.ParseRef("netns:nowhere")
	for _, c := range []struct {
		name string
		b    link.Backend
		is   error
		says string
	}{
		{"the guest itself", self, fs.ErrInvalid, "is the guest itself"},
		{"the host", host, fs.ErrPermission, "uses the host's own network"},
		{"a runtime", kind, errors.ErrUnsupported, "set Attacher.Find"},
		{"nobody", gone, fs.ErrNotExist, `no network namespace is named "nowhere"`},
		{"a name that is taken", to(db), nil, "netns:" + string(db) + " has an interface eth5 already"},
	} {
		_, err := pipework.Attach(t.Context(), web, pipework.Spec{Name: "eth9", Link: c.b})
		if err == nil || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	other := to(db)
	other.PeerName = "eth6"
	if _, err := pipework.Attach(t.Context(), web, pipework.Spec{Link: other}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another pair by the same name in the guest: %v", err)
	}
	if _, err := pipework.Update(t.Context(), web, pipework.Spec{Link: other}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("update to another pair: %v", err)
	}
	if _, err := pipework.Attach(t.Context(), ns.Path("/proc/self/ns/net"), pipework.Spec{Name: "eth9", Link: other, AllowHost: true}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("the host as the guest: %v", err)
	}
	world.Unchanged(t)
}

// The other guest is found by the caller's function.
func TestPairFindsItsPeer(t *testing.T) {
	web, g := nstest.Guest(t)
	db, peer := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle, peer.Handle)
	a := pipework.Attacher{Find: func(ref ns.Ref) pipework.Target {
		if ref.String() != "docker:db" {
			t.Errorf("asked for %s", ref)
		}
		return db
	}}
	s := pipework.Spec{Link: link.Veth{Peer: ns.ParseRef("docker:db"), PeerName: "eth5"}}
	at, err := a.Attach(t.Context(), web, s)
	if err != nil || at.Link != "veth:docker:db/eth5" {
		t.Errorf("%+v, %v", at, err)
	}
	at, err = a.Check(t.Context(), web, s)
	if err != nil || len(at.Drifts) > 0 {
		t.Errorf("%+v, %v", at, err)
	}
	if _, err := a.Detach(t.Context(), web, s); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// What somebody changes at the other end is told, and put back but for its name.
func TestPairIsMended(t *testing.T) {
	web, db, g, peer, world := paired(t)
	s := pipework.Spec{Link: to(db), Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24"), netip.MustParsePrefix("fd01::1/64")}}
	attached := nstest.Observe(t, g.Handle, peer.Handle)
	forging(t, peer, "", func(f forger) {
		a, err := netlink.ParseAddr("10.1.0.254/24")
		f.must(err, f.AddrDel(f.link("eth5"), a), f.LinkSetAlias(f.link("eth5"), "mine"))
		f.rename("eth5", "eth7") // which sets it down, and takes the IPv6 address away
		f.must(f.LinkSetDown(f.link("eth7")))
	})
	name := "eth7 in netns:" + string(db)
	checked, err := pipework.Check(t.Context(), web, s)
	want := []string{"eth5 is called eth7 in netns:" + string(db), name + " is down", name + " has lost its mark", name + " lacks 10.1.0.254/24", name + " lacks fd01::fe/64"}
	if err != nil || !slices.Equal(checked.Drifts, want) {
		t.Errorf("check: %q, %v, want %q", checked.Drifts, err, want)
	}
	if again, err := pipework.Attach(t.Context(), web, s); err != nil || !slices.Equal(again.Mended, want[1:]) || !slices.Equal(again.Warnings, want[:1]) {
		t.Errorf("mended %+v, %v", again, err)
	}
	more := pipework.Spec{Link: to(db), Add: true, Routes: []link.Route{{Dst: netip.MustParsePrefix("10.8.0.0/16")}}}
	if added, err := pipework.Attach(t.Context(), web, more); err != nil || len(added.Mended) > 0 || !slices.Equal(added.Warnings, want[:1]) {
		t.Errorf("added %+v, %v", added, err)
	}
	ip(t, g, "ip", "route", "del", "10.8.0.0/16")
	forging(t, peer, "", func(f forger) {
		f.must(f.LinkSetDown(f.link("eth7")), f.LinkSetName(f.link("eth7"), "eth5"))
	})
	plug(t, web, to(db), "10.1.0.1/24", "fd01::1/64")
	attached.Unchanged(t)
	unplug(t, web, nil)
	world.Unchanged(t)
}

// Update changes the addresses of the other end, and when it fails they are as they were,
// whether they are added behind others of the subnet or before.
func TestPairUpdate(t *testing.T) {
	updateEnd(t, to, func(v *link.Veth) *[]netip.Prefix { return &v.PeerAddrs })
}

// TestVethUpdate does the same at the host's end.
func TestVethUpdate(t *testing.T) {
	updateEnd(t, func(ns.Named) link.Veth { return hostEnd() }, func(v *link.Veth) *[]netip.Prefix { return &v.HostAddrs })
}

func updateEnd(t *testing.T, with func(ns.Named) link.Veth, addrs func(*link.Veth) *[]netip.Prefix) {
	web, g := nstest.Guest(t)
	db, peer := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle, peer.Handle)
	var specs []pipework.Spec
	for _, list := range [][]string{{"10.1.0.254/24", "10.1.0.252/24", "fd01::fe/64"}, {"10.1.0.253/24", "10.1.0.252/24", "fd01::fe/48"}} {
		v := with(db)
		*addrs(&v) = nil
		for _, a := range list {
			*addrs(&v) = append(*addrs(&v), netip.MustParsePrefix(a))
		}
		specs = append(specs, pipework.Spec{Link: v, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}})
	}
	attach(t, web, specs[1])
	want := nstest.Observe(t, g.Handle, peer.Handle)
	detach(t, web, specs[1])
	attach(t, web, specs[0])
	before := nstest.Observe(t, g.Handle, peer.Handle)
	contract.EveryStep(t, func(ctx context.Context) error {
		at, err := pipework.Update(ctx, web, specs[1])
		if err == nil {
			want.Alike(t)
			if at, err := pipework.Update(t.Context(), web, specs[1]); err != nil || len(at.Mended) > 0 {
				t.Errorf("updated again: %+v, %v", at, err)
			}
			if _, err := pipework.Update(t.Context(), web, specs[0]); err != nil || len(at.Mended) == 0 {
				t.Errorf("update: %+v, and back: %v", at, err)
			}
		}
		before.Unchanged(t)
		return err
	})
	detach(t, web, specs[0])
	world.Unchanged(t)
}

// A guest that dies takes the pair along; then there is nothing to detach or collect.
func TestPairGoesWithItsPeer(t *testing.T) {
	web, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	p := nstest.Process(t)
	b := link.Veth{Peer: ns.ParseRef(fmt.Sprint("pid:", p.PID)), PeerName: "eth5"}
	plug(t, web, b, "10.1.0.1/24")
	_ = p.Kill()
	testwait.Eventually(t, "the pair is gone", func() bool {
		_, err := pipework.Check(t.Context(), web, pipework.Spec{})
		return errors.Is(err, fs.ErrNotExist)
	})
	unplug(t, web, b)
	unplug(t, web, nil)
	if names, err := pipework.Collect(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("collected %q, %v", names, err)
	}
	world.Unchanged(t)
}

// What the other guest does with its end does not keep it from being removed.
func TestPairIsRemovedWhateverThePeerDoes(t *testing.T) {
	for name, do := range map[string]func(f forger){
		"renamed":  func(f forger) { f.rename("eth5", "eth7") },
		"unmarked": func(f forger) { f.must(f.LinkSetAlias(f.link("eth5"), "")) },
		"moved on": func(f forger) { f.must(f.LinkSetNsFd(f.link("eth5"), int(f.other.NetNS()))) },
		"marked as ours": func(f forger) {
			f.must(f.LinkSetAlias(f.link("eth5"), "pipework link=bridge:br1 interface=eth1 spec=2.0"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, third := nstest.Guest(t)
			web, db, _, peer, world := paired(t)
			thirds := nstest.Observe(t, third.Handle)
			forging(t, peer, "", func(f forger) {
				f.other = third
				do(f)
			})
			at, err := pipework.Check(t.Context(), web, pipework.Spec{Link: to(db)})
			if err != nil || len(at.Drifts) == 0 {
				t.Errorf("check: %+v, %v", at, err)
			}
			unplug(t, web, to(db))
			world.Unchanged(t)
			thirds.Unchanged(t)
		})
	}
}

// A guest that puts something else in the place of its end does not keep the pair.
func TestPairHidden(t *testing.T) {
	for name, forge := range map[string]func(f forger){
		"renamed": func(f forger) { f.rename("eth1", "hidden") },
		"renamed and unmarked": func(f forger) {
			f.rename("eth1", "hidden")
			f.must(f.LinkSetAlias(f.link("hidden"), ""))
		},
		"and faked": func(f forger) {
			f.rename("eth1", "hidden")
			f.must(f.LinkSetAlias(f.link("hidden"), ""))
			f.fake(f.alias)
		},
	} {
		t.Run(name, func(t *testing.T) {
			web, db, g, _, world := paired(t)
			forging(t, g, aliasOf(t, g, "eth1"), func(f forger) { forge(f) })
			unplug(t, web, to(db))
			h := open(t, g)
			if eth1, err := h.LinkByName("eth1"); err == nil { // what it faked is its own
				_ = h.LinkDel(eth1)
			}
			_ = h.Close()
			world.Unchanged(t)
		})
	}
}

// A guest that exchanges the names and marks of two pairs deceives nobody.
func TestPairsOfGuestsExchanged(t *testing.T) {
	web, db, g, peer, world := paired(t)
	only, mark := nstest.Observe(t, g.Handle, peer.Handle), aliasOf(t, g, "eth1")
	second := pipework.Spec{Name: "eth2", Link: link.Veth{Peer: to(db).Peer, PeerName: "eth6"}}
	attach(t, web, second)
	both := nstest.Observe(t, g.Handle, peer.Handle)
	exchange := func() {
		forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
			f.must(f.LinkSetAlias(f.link("eth1"), aliasOf(t, g, "eth2")), f.LinkSetAlias(f.link("eth2"), f.alias))
			f.rename("eth1", "swap")
			f.rename("eth2", "eth1")
			f.rename("swap", "eth2")
		})
	}
	exchange()
	at, err := pipework.Check(t.Context(), web, pipework.Spec{Link: to(db)})
	if err != nil || !slices.Contains(at.Drifts, "the other end of eth1 is eth6 in netns:"+string(db)+", which is that of eth2") {
		t.Errorf("check: %+v, %v", at, err)
	}
	exchange()
	attach(t, web, second)
	plug(t, web, to(db), "10.1.0.1/24", "fd01::1/64")
	both.Unchanged(t)
	exchange()
	detach(t, web, second)
	forging(t, g, "", func(f forger) {
		f.must(f.LinkSetAlias(f.link("eth2"), mark))
		f.rename("eth2", "eth1")
	})
	plug(t, web, to(db), "10.1.0.1/24", "fd01::1/64")
	only.Unchanged(t)
	unplug(t, web, to(db))
	world.Unchanged(t)
}

// A guest that moves its end on keeps the pair, since nothing but a mark in the other guest
// tells whose that was: it is said.
func TestPairMovedOn(t *testing.T) {
	web, db, g, peer, _ := paired(t)
	_, third := nstest.Guest(t)
	forging(t, g, "", func(f forger) {
		f.other = third
		f.moveOn()
	})
	world := nstest.Observe(t, g.Handle, peer.Handle, third.Handle)
	var said bytes.Buffer
	a := pipework.Attacher{Log: slog.New(slog.NewTextHandler(&said, nil))}
	if _, err := a.Detach(t.Context(), web, pipework.Spec{Link: to(db)}); err != nil {
		t.Error(err)
	}
	if want := "eth5 in netns:" + string(db) + " says that it is the other end of eth1, which netns:" + string(web) + " has moved on"; !strings.Contains(said.String(), want) {
		t.Errorf("said %s, want %s", &said, want)
	}
	world.Unchanged(t)
}

// What is written at the other end takes nothing away: the other guest's own calls leave
// it alone, and so do those for the guest where it is no pair of theirs.
func TestPeersMarkRemovesNothing(t *testing.T) {
	web, db, g, peer, _ := paired(t)
	third, tg := nstest.Guest(t)
	mark := aliasOf(t, peer, "eth5")
	if !strings.HasPrefix(mark, "pipework-peer ") || !strings.Contains(mark, "interface=eth1") || !strings.Contains(mark, "containername=netns:"+string(web)) {
		t.Errorf("mark %q", mark)
	}
	b := to(third)
	b.PeerName, b.PeerAddrs = "eth1", nil
	if _, err := pipework.Attach(t.Context(), db, pipework.Spec{Name: "eth6", Link: b}); err != nil {
		t.Fatal(err)
	}
	forging(t, peer, "", func(f forger) { f.must(f.LinkSetAlias(f.link("eth6"), mark)) })
	world := nstest.Observe(t, g.Handle, peer.Handle, tg.Handle)
	unplug(t, db, nil) // eth1, which its eth5 says that it is of
	if _, err := pipework.Detach(t.Context(), db, pipework.Spec{Name: "eth5"}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "the other end of eth1 of netns:"+string(web)) {
		t.Errorf("detach of the other end: %v", err)
	}
	if _, err := pipework.Attach(t.Context(), db, pipework.Spec{Name: "eth5", Link: link.Veth{}}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("attach in its place: %v", err)
	}
	world.Unchanged(t)
	unplug(t, web, to(db))
	aliasOf(t, peer, "eth6") // is there still
	aliasOf(t, tg, "eth1")
}
