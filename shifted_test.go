//go:build linux

package pipework_test

import (
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestNamesShifted has the guest give the name of one interface to the other. Detach takes
// what was plugged in under the name, and leaves the other to its own.
func TestNamesShifted(t *testing.T) {
	addPhys(t, physVeth())
	kinds := map[string]link.Backend{
		"bridge": link.Bridge{Name: "br1"}, "macvlan": link.Macvlan{Parent: "wire"}, "veth": link.Veth{HostName: "ha"}, "phys": link.Phys{Device: "nic0"},
	}
	for first, one := range kinds {
		for second, two := range kinds {
			if first == second && first != "bridge" && first != "macvlan" {
				continue
			}
			t.Run(first+" and "+second, func(t *testing.T) {
				target, g := nstest.Guest(t)
				s1 := pipework.Spec{Name: "eth1", Link: one}
				s2 := pipework.Spec{Name: "eth2", Link: two}
				attach(t, target, s1)
				attach(t, target, s2)
				index := func(name string) int {
					l, err := handle(t, g).LinkByName(name)
					if err != nil {
						return 0
					}
					return l.Attrs().Index
				}
				of1, of2 := index("eth1"), index("eth2")
				h := handle(t, g)
				rename := func(from, to string) {
					t.Helper()
					l, err := h.LinkByName(from)
					if err == nil {
						err = h.LinkSetDown(l)
					}
					if err == nil {
						err = h.LinkSetName(l, to)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				rename("eth1", "tmp0")
				rename("eth2", "eth1")
				there := func() (first, second bool) {
					links, err := nstest.Whole(func() ([]netlink.Link, error) { return h.LinkList() })
					if err != nil {
						t.Fatal(err)
					}
					for _, l := range links {
						first, second = first || l.Attrs().Index == of1, second || l.Attrs().Index == of2
					}
					return first, second
				}
				if found, err := pipework.Detach(t.Context(), target, pipework.Spec{Name: "eth1"}); err != nil || !found {
					t.Errorf("detach eth1: %v, %v", found, err)
				}
				if a, b := there(); a || !b {
					t.Errorf("after detach of eth1 the first is there: %v, the second: %v", a, b)
				}
				if found, err := pipework.Detach(t.Context(), target, pipework.Spec{Name: "eth2"}); err != nil || !found {
					t.Errorf("detach eth2: %v, %v", found, err)
				}
				if a, b := there(); a || b {
					t.Errorf("in the end the first is there: %v, the second: %v", a, b)
				}
			})
		}
	}
}
