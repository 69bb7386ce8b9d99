//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// adding is spec with Add.
func adding(words ...string) pipework.Spec {
	s := spec("eth1", "br1", words...)
	s.Add = true
	return s
}

// TestAdd types line after line for one interface.
func TestAdd(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	first := adding("10.1.0.1/24", "10.1.0.254")
	first.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	second := adding("10.2.0.1/24", "10.1.0.1/24")
	third := adding("fd01::1/64", "fd01::fe")
	for _, row := range []struct {
		spec  pipework.Spec
		added string
		addrs int
	}{
		{first, "[]", 1}, {second, "[10.2.0.1/24]", 2}, {third, "[fd01::1/64]", 3},
		{first, "[]", 3}, {second, "[]", 3}, {third, "[]", 3}, // each again
	} {
		at := attach(t, target, row.spec)
		if got := fmt.Sprint(at.Added); got != row.added || len(at.Addrs) != row.addrs || at.MAC.String() != "02:00:00:00:00:01" || len(at.Mended) > 0 {
			t.Errorf("%v: %+v", row.spec.Addrs, at)
		}
	}
	if got := defaults(t, g); !slices.Equal(got, []string{"10.1.0.254", "fd01::fe"}) {
		t.Errorf("gateways %v", got)
	}
	whole := nstest.Observe(t, g.Handle)
	nstest.Spoil(t, g, "eth1")
	if at := attach(t, target, second); !slices.Equal(at.Mended, []string{"eth1 is down"}) || len(at.Added) != 2 {
		t.Errorf("mended %q, added %v", at.Mended, at.Added)
	}
	for _, s := range []pipework.Spec{first, second, third} {
		attach(t, target, s)
	}
	whole.Unchanged(t)
	detach(t, target, pipework.Spec{})
	world.Unchanged(t)
}

// TestAddRefused leaves what is plugged in otherwise as it is.
func TestAddRefused(t *testing.T) {
	target, g := nstest.Guest(t)
	s := adding("10.1.0.1/24", "10.1.0.254")
	attach(t, target, s)
	world := nstest.Observe(t, g.Handle)
	for name, change := range map[string]func(*pipework.Spec){
		"not asked to":   func(s *pipework.Spec) { s.Add = false },
		"another bridge": func(s *pipework.Spec) { s.Link = link.Bridge{Name: "br2"} },
		"another MAC":    func(s *pipework.Spec) { s.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 2} },
		"another MTU":    func(s *pipework.Spec) { s.MTU = 1400 },
		"a gateway too":  func(s *pipework.Spec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.2.0.254")} },
	} {
		other := adding("10.2.0.1/24")
		change(&other)
		if _, err := pipework.Attach(t.Context(), target, other); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		world.Unchanged(t)
	}
	detach(t, target, s)
}

// TestAddFaults makes adding fail at every step.
func TestAddFaults(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	steps := contract.EveryStep(t, func(ctx context.Context) error {
		attach(t, target, adding("10.1.0.1/24"))
		defer detach(t, target, pipework.Spec{})
		world := nstest.Observe(t, g.Handle)
		_, err := pipework.Attach(ctx, target, adding("10.2.0.1/24", "10.2.0.254", "10.3.0.1/24"))
		if err != nil {
			world.Unchanged(t)
		}
		return err
	})
	if steps < 10 {
		t.Errorf("only %d steps", steps)
	}
}
