//go:build linux

package pipework_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestPhysGuestDiesWithTwoNICs has a guest that was given a second real NIC by other
// means copy the mark of the first one to it, and change their names round. The first
// comes home by a detach and, when the guest dies, by a collection; the second is never
// taken for it.
func TestPhysGuestDiesWithTwoNICs(t *testing.T) {
	if os.Getenv("PIPEWORK_LANE") != "qemu" {
		t.Skip("no NIC here that outlives its namespace")
	}
	for _, dies := range []bool{false, true} {
		t.Run(map[bool]string{false: "detach", true: "guest dies"}[dies], func(t *testing.T) {
			world, first, second := nstest.Observe(t), macOf(t, "eth0"), macOf(t, "eth1")
			p := nstest.Process(t)
			target, s := ns.PID(p.PID), pipework.Spec{Link: link.Phys{Device: "eth0"}, Name: "net7"}
			attach(t, target, s)
			g, err := target.Open(t.Context())
			must(t, err)
			give(t, g, "eth1")
			forging(t, g, aliasOf(t, g, "net7"), func(f forger) {
				f.rename("net7", "hidden")
				f.rename("eth1", "net7")
				f.must(f.LinkSetAlias(f.link("net7"), f.alias))
			})
			if !dies {
				detach(t, target, s)
				forging(t, g, "", func(f forger) {
					if mac := f.link("net7").Attrs().HardwareAddr.String(); mac != second {
						t.Errorf("net7 of the guest has MAC %s, not %s", mac, second)
					}
				})
			}
			must(t, g.Close())
			must(t, p.Kill())
			awaitReturn(t, "net7")
			_, err = pipework.Collect(t.Context())
			must(t, err)
			if now := macOf(t, "eth0"); now != first {
				t.Errorf("eth0 has MAC %s, not %s", now, first)
			}
			if now := macOf(t, "net7"); now != second {
				t.Errorf("net7, which the guest called so, has MAC %s, not %s", now, second)
			}
			restore(t, "net7", "eth1")
			world.Unchanged(t)
		})
	}
}

// restore gives a NIC of the host's its name back, and takes the mark from it.
func restore(t *testing.T, from, to string) {
	t.Helper()
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(from)
	must(t, err)
	must(t, errors.Join(h.LinkSetDown(l), h.LinkSetName(l, to), h.LinkSetAlias(l, "")))
}

// give moves a NIC of the host's into the guest, as its owner may.
func give(t *testing.T, g *ns.Guest, name string) {
	t.Helper()
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	must(t, err)
	must(t, h.LinkSetNsFd(l, int(g.NetNS())))
}

// TestCollectWithoutSysfs cannot tell which NICs came home, and collects all else.
func TestCollectWithoutSysfs(t *testing.T) {
	addPhys(t, physVeth())
	target, _ := nstest.Guest(t)
	attach(t, target, nic0)
	other, _ := nstest.Guest(t)
	world := nstest.Observe(t)
	at := attach(t, other, spec("eth1", "br1", "10.1.0.1/24"))
	del(t, at.HostName) // as if the guest had died
	broken := errors.New("no sysfs")
	ctx := fault.With(t.Context(), func(step string) error {
		if step == "open sysfs" {
			return broken
		}
		return nil
	})
	names, err := pipework.Collect(ctx)
	if !errors.Is(err, broken) || !slices.Equal(contract.Names(names), []string{"br1"}) {
		t.Errorf("collected %q, %v", names, err)
	}
	world.Unchanged(t)
	detach(t, target, nic0)
}
