//go:build linux

package pipework_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// plan tells what would be done; it fails where a message is sent that changes something.
func plan(t *testing.T, target pipework.Target, s pipework.Spec) []string {
	t.Helper()
	steps := 0
	ctx := fault.With(t.Context(), func(step string) error {
		if steps++; strings.HasPrefix(step, "RTM_") && !strings.HasPrefix(step, "RTM_GET") || strings.Contains(step, "dhcp") || strings.Contains(step, "lock") {
			t.Errorf("a plan made the step %s", step)
		}
		return nil
	})
	at, err := new(pipework.Attacher).Plan(ctx, target, s)
	if err != nil || steps < 5 {
		t.Fatalf("%d steps: %v", steps, err)
	}
	return at.Plan
}

// TestPlanIsWhatIsDone spoils an interface in many ways, and compares what is planned with
// what Attach then does.
func TestPlanIsWhatIsDone(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24", "fd00::1/64")
	s.Gateways = []netip.Addr{netip.MustParseAddr("10.1.0.254")}
	s.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.8.0.0/16"), Via: netip.MustParseAddr("10.1.0.9")}}
	s.Rules = []link.Rule{{Priority: 50, Table: 7}}
	world := nstest.Observe(t, g.Handle)
	fresh := []string{
		"make bridge br1", "plug eth1 in on bridge:br1", "address 10.1.0.1/24", "address fd00::1/64",
		"default via 10.1.0.254", "rule " + s.Rules[0].String(), "route " + s.Routes[0].String(),
	}
	if diff := cmp.Diff(fresh, plan(t, target, s)); diff != "" {
		t.Errorf("of a new interface (-want +got):\n%s", diff)
	}
	world.Unchanged(t)
	attach(t, target, s)
	for name, spoil := range map[string]func(h *netlink.Handle, l netlink.Link) error{
		"nothing": func(*netlink.Handle, netlink.Link) error { return nil },
		"an address": func(h *netlink.Handle, l netlink.Link) error {
			return h.AddrDel(l, addrOf("10.1.0.1/24"))
		},
		"down": func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) },
		"MTU":  func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetMTU(l, 1300) },
	} {
		t.Run(name, func(t *testing.T) {
			h, err := g.Netlink(t.Context())
			must(t, err)
			defer func() { _ = h.Close() }()
			l, err := h.LinkByName("eth1")
			must(t, err)
			must(t, spoil(h, l))
			planned := plan(t, target, s)
			at, err := new(pipework.Attacher).Attach(t.Context(), target, s)
			must(t, err)
			var done []string
			for _, what := range at.Mended {
				done = append(done, "mend: "+what)
			}
			slices.Sort(planned)
			slices.Sort(done)
			if diff := cmp.Diff(done, planned); diff != "" {
				t.Errorf("planned, and done (-done +planned):\n%s", diff)
			}
		})
	}
	other := s
	other.MTU = 1300
	if _, err := new(pipework.Attacher).Plan(t.Context(), target, other); err == nil || !strings.Contains(err.Error(), "detach it first") {
		t.Errorf("with other settings: %v", err)
	}
	detach(t, target, s)
	world.Unchanged(t)
}

// TestPlanEnds ends with its context, at each step.
func TestPlanEnds(t *testing.T) {
	target, _ := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24")
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		step := 0
		_, err := new(pipework.Attacher).Plan(fault.With(ctx, func(string) error {
			if step++; step == n {
				cancel()
			}
			return nil
		}), target, s)
		cancel()
		if step < n {
			if must(t, err); n < 5 {
				t.Errorf("a plan of %d steps", n)
			}
			return
		}
	}
}

func addrOf(text string) *netlink.Addr {
	a, err := netlink.ParseAddr(text)
	if err != nil {
		panic(err)
	}
	return a
}
