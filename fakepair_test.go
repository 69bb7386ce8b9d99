//go:build linux

package pipework_test

import (
	"context"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// fake makes a link of the guest's own in the place of eth1, which bears this mark.
func (f forger) fake(alias string) {
	f.Helper()
	f.alias = alias
	f.veth("eth1", 0)
}

// TestFakePair has guests on a bridge that put something else in the place of eth1,
// with its mark, and hide their end of the pair. Detach goes by the host's end: the
// guest is off the bridge, and loses nothing that is its own.
func TestFakePair(t *testing.T) {
	for name, forge := range map[string]func(f forger){
		"renamed": func(f forger) { f.rename("eth1", "hidden") },
		"a veth": func(f forger) {
			f.rename("eth1", "hidden")
			f.fake(f.alias)
		},
		"without its own mark": func(f forger) {
			f.must(f.LinkSetAlias(f.link("eth1"), ""))
			f.rename("eth1", "hidden")
			f.fake(f.alias)
		},
		"a bridge": func(f forger) {
			f.rename("eth1", "hidden")
			f.must(f.LinkAdd(&netlink.Bridge{LinkAttrs: attrs("eth1")}), f.LinkSetAlias(f.link("eth1"), f.alias))
		},
		"unmarked": func(f forger) {
			f.rename("eth1", "hidden")
			f.fake("")
		},
		"that claims to be another kind": func(f forger) {
			f.rename("eth1", "hidden")
			f.fake(strings.ReplaceAll(f.alias, "bridge:br1", "dummy"))
		},
		"that claims to be a NIC": func(f forger) {
			f.rename("eth1", "hidden")
			f.fake(strings.ReplaceAll(f.alias, "bridge:br1", "phys:nic0"))
		},
		"the mark of its own changed": func(f forger) {
			f.must(f.LinkSetAlias(f.link("eth1"), strings.ReplaceAll(f.alias, "bridge:br1", "macvlan:eth0")))
		},
		"moved on": func(f forger) { f.moveOn() },
		"moved on, and a veth": func(f forger) {
			f.moveOn()
			f.fake(f.alias)
		},
		"moved on, and another kind": func(f forger) {
			f.moveOn()
			f.fake(strings.ReplaceAll(f.alias, "bridge:br1", "dummy"))
		},
	} {
		for how, s := range map[string]pipework.Spec{"": {}, " as attached": spec("eth1", "br1", "10.1.0.2/24")} {
			t.Run(name+how, func(t *testing.T) {
				target, g := nstest.Guest(t)
				_, other := nstest.Guest(t)
				world := nstest.Observe(t)
				attach(t, target, spec("eth1", "br1", "10.1.0.2/24"))
				forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
					f.other = other
					forge(f)
				})
				detach(t, target, s)
				world.Unchanged(t)
				if strings.Contains(name, "veth") {
					aliasOf(t, g, "eth1") // is there still
				}
			})
		}
	}
}

// A namesake is a guest that is called as another one.
type namesake struct {
	pipework.Target
	as ns.Identity
}

// Open opens it.
func (n namesake) Open(ctx context.Context) (*ns.Guest, error) {
	g, err := n.Target.Open(ctx)
	if err == nil {
		g.Identity = n.as
	}
	return g, err
}

// TestMovedOn has guests without an ID, whose pairs are called what the caller likes, or by the
// process's number, move their ends on: Detach finds them by their ends on the host. The pair
// of another guest of that name, which had another namespace, is left.
func TestMovedOn(t *testing.T) {
	chosen := spec("eth1", "br1", "10.1.0.2/24")
	chosen.Link = link.Bridge{Name: "br1", HostName: "chosen0"}
	toHost := spec("eth1", "br1", "10.1.0.2/24")
	toHost.Link = link.Veth{HostName: "chosen0"}
	target, g := nstest.Guest(t)
	_, third := nstest.Guest(t)
	_, other := nstest.Guest(t)
	p := nstest.Process(t)
	process, err := ns.PID(p.PID).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Close() })
	for name, row := range map[string]struct {
		target pipework.Target
		g      *ns.Guest
		spec   pipework.Spec
	}{
		"a named end on a bridge": {target, g, chosen},
		"a named end":             {target, g, toHost},
		"a process":               {ns.PID(p.PID), process, spec("eth1", "br1", "10.1.0.2/24")},
	} {
		t.Run(name, func(t *testing.T) {
			world := nstest.Observe(t)
			attach(t, row.target, row.spec)
			forging(t, row.g, aliasOf(t, row.g, "eth1"), func(f forger) {
				f.other = third
				f.moveOn()
			})
			there := nstest.Observe(t)
			detach(t, namesake{other.Again(), row.g.Identity}, row.spec)
			there.Unchanged(t)
			detach(t, row.target, row.spec)
			world.Unchanged(t)
		})
	}
}

// TestPairsExchanged has a guest with two pairs that gives each the other's name.
func TestPairsExchanged(t *testing.T) {
	target, g := nstest.Guest(t)
	world := nstest.Observe(t)
	attach(t, target, spec("eth1", "br1", "10.1.0.2/24"))
	only := nstest.Observe(t)
	attach(t, target, spec("eth2", "br2", "10.2.0.2/24"))
	forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
		f.must(f.LinkSetAlias(f.link("eth1"), aliasOf(t, g, "eth2")), f.LinkSetAlias(f.link("eth2"), f.alias))
		f.rename("eth1", "swap")
		f.rename("eth2", "eth1")
		f.rename("swap", "eth2")
	})
	detach(t, target, pipework.Spec{Name: "eth2"})
	only.Unchanged(t)
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestPairHiddenAndPluggedInAgain has a guest that hides eth1 until it gets another.
func TestPairHiddenAndPluggedInAgain(t *testing.T) {
	target, g := nstest.Guest(t)
	world := nstest.Observe(t)
	s := spec("eth1", "br1", "10.1.0.2/24")
	attach(t, target, s)
	forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
		f.must(f.LinkSetAlias(f.link("eth1"), ""))
		f.rename("eth1", "hidden")
	})
	s.Link = link.Bridge{Name: "br1", HostName: "other"}
	attach(t, target, s)
	detach(t, target, s)
	world.Unchanged(t)
}

// TestListOfAFakePair shows the pair, whatever the guest calls it, and not the fake.
func TestListOfAFakePair(t *testing.T) {
	target, g := nstest.Guest(t)
	attach(t, target, spec("eth1", "br1", "10.1.0.2/24"))
	forging(t, g, aliasOf(t, g, "eth1"), func(f forger) {
		f.rename("eth1", "hidden")
		f.fake(f.alias)
	})
	list, err := pipework.List(t.Context(), target)
	if err != nil || len(list) != 1 || list[0].Name != "hidden" {
		t.Errorf("list: %+v, %v", list, err)
	}
	at, err := pipework.Check(t.Context(), target, pipework.Spec{})
	if err != nil || at.Name != "hidden" {
		t.Errorf("check: %+v, %v", at, err)
	}
	detach(t, target, pipework.Spec{})
}
