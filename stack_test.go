//go:build linux

package pipework_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// A stack is a guest with interfaces that have gateways.
type stack struct {
	*testing.T
	ns.Named
	guest *ns.Guest
	world *nstest.World
}

func newStack(t *testing.T) *stack {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	return &stack{t, target, g, nstest.Observe(t, g.Handle)}
}

// as has all of these be as declared, and the default route via this gateway.
func (s *stack) as(gateway string, all ...pipework.Spec) {
	s.Helper()
	for _, one := range all {
		at, err := pipework.Check(s.Context(), s.Named, one)
		if err != nil || len(at.Drifts) > 0 {
			s.Errorf("%s: %v, %v", one.Name, at, err)
		}
		if again := attach(s.T, s.Named, one); len(again.Mended) > 0 {
			s.Errorf("%s: mended %q", one.Name, again.Mended)
		}
	}
	if got, want := defaults(s.T, s.guest), []string{gateway, "fd20::1"}; !slices.Equal(got, want) {
		s.Errorf("default gateways: %q, want %q", got, want)
	}
}

// unchanged has the guest and the host be as they were, but for bridges that nobody uses.
func (s *stack) unchanged() {
	s.Helper()
	if _, err := pipework.Collect(s.Context()); err != nil {
		s.Error(err)
	}
	s.world.Unchanged(s.T)
}

// gone removes an interface in the guest.
func (s *stack) gone(name string) {
	s.Helper()
	h := open(s.T, s.guest)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(l)
	}
	if err != nil {
		s.Fatal(err)
	}
}

// TestStackSettles has the interface that was attached last have the default route, and the
// others be as declared beneath it.
func TestStackSettles(t *testing.T) {
	one := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1")
	two := spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1")
	three := spec("eth3", "br3", "10.3.0.2/24", "10.3.0.1")
	other := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.9")
	beneath := func(s pipework.Spec) pipework.Spec {
		s.Beneath = []string{"eth2", "eth7"}
		return s
	}
	for name, do := range map[string]func(s *stack){
		"of two": func(s *stack) {
			s.as("10.2.0.1", one, two)
			detach(s.T, s.Named, one)
			s.as("10.2.0.1", two)
			detach(s.T, s.Named, two)
		},
		"of three": func(s *stack) {
			attach(s.T, s.Named, three)
			s.as("10.3.0.1", one, two, three)
			detach(s.T, s.Named, two)
			s.as("10.3.0.1", one, three)
			detach(s.T, s.Named, three)
			s.as("10.1.0.1", one)
			detach(s.T, s.Named, one)
		},
		"one moves to the top": func(s *stack) {
			if _, err := pipework.Update(s.Context(), s.Named, other); err != nil {
				s.Fatal(err)
			}
			s.as("10.1.0.9", other, two)
			detach(s.T, s.Named, other)
			s.as("10.2.0.1", two)
			detach(s.T, s.Named, two)
		},
		"one goes beneath": func(s *stack) {
			s.gone("eth1")
			attach(s.T, s.Named, beneath(one))
			s.as("10.2.0.1", one, two)
			detach(s.T, s.Named, two)
			s.as("10.1.0.1", one)
			detach(s.T, s.Named, one)
		},
		"one goes beneath, and goes first": func(s *stack) {
			s.gone("eth1")
			attach(s.T, s.Named, beneath(one))
			detach(s.T, s.Named, one)
			s.as("10.2.0.1", two)
			detach(s.T, s.Named, two)
		},
		"one is declared again": func(s *stack) {
			last := one
			last.Last = true
			if got := attach(s.T, s.Named, last).Mended; len(got) != 1 || !strings.Contains(got[0], "eth2, which was declared before") {
				s.Errorf("mended %q", got)
			}
			s.as("10.1.0.1", last, two)
			detach(s.T, s.Named, last)
			s.as("10.2.0.1", two)
			detach(s.T, s.Named, two)
		},
		"one is declared again, beneath": func(s *stack) {
			last := beneath(one)
			last.Last = true
			s.as("10.2.0.1", last, two)
			detach(s.T, s.Named, two)
			detach(s.T, s.Named, last)
		},
		"nothing to be beneath": func(s *stack) {
			detach(s.T, s.Named, two)
			detach(s.T, s.Named, one)
			attach(s.T, s.Named, one)
			attach(s.T, s.Named, beneath(three)) // eth1 is none of those
			s.as("10.3.0.1", one, three)
			detach(s.T, s.Named, one)
			detach(s.T, s.Named, three)
		},
		"the top is gone": func(s *stack) {
			s.gone("eth2")
			attach(s.T, s.Named, one)
			s.as("10.1.0.1", one)
			detach(s.T, s.Named, two)
			s.as("10.1.0.1", one)
			detach(s.T, s.Named, one)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			attach(t, s.Named, one)
			attach(t, s.Named, two)
			do(s)
			s.unchanged()
		})
	}
}

// TestLostDefaultComesBack has an interface end, and not be detached: what it displaced is
// the next one's to keep, and no other detach's to drop.
func TestLostDefaultComesBack(t *testing.T) {
	one := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1")
	plain := spec("eth2", "br1", "10.1.0.3/24")
	two := spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1")
	for name, do := range map[string]func(s *stack){
		"another is detached": func(s *stack) {
			attach(s.T, s.Named, one)
			attach(s.T, s.Named, plain)
			detach(s.T, s.Named, plain)
			detach(s.T, s.Named, one)
		},
		"twice": func(s *stack) {
			attach(s.T, s.Named, one)
			s.gone("eth1")
			attach(s.T, s.Named, one)
			attach(s.T, s.Named, two)
			detach(s.T, s.Named, one)
			detach(s.T, s.Named, two)
		},
		"another takes it over": func(s *stack) {
			attach(s.T, s.Named, two)
			detach(s.T, s.Named, two)
		},
		"another is attached before": func(s *stack) {
			attach(s.T, s.Named, plain)
			detach(s.T, s.Named, plain)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			at := attach(t, s.Named, one)
			nstest.DelLink(t, at.HostName)
			do(s)
			s.unchanged()
		})
	}
}

// TestBeneathIsRefused has the kernel refuse the gateway beneath another interface: it is
// said, as it is of one on top.
func TestBeneathIsRefused(t *testing.T) {
	s := newStack(t)
	one := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1")
	attach(t, s.Named, one)
	two := attach(t, s.Named, spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1"))
	ip(t, s.guest, "ip", "route", "del", "default", "via", "10.1.0.1", "table", fmt.Sprint(1<<31+two.Index))
	ip(t, s.guest, "ip", "route", "del", "10.1.0.0/24", "dev", "eth1")
	before := ip(t, s.guest, "ip", "route", "show", "table", "all")
	one.Beneath = []string{"eth2"}
	if at, err := pipework.Attach(t.Context(), s.Named, one); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("attach: %+v, %v", at, err)
	}
	if diff := cmp.Diff(before, ip(t, s.guest, "ip", "route", "show", "table", "all")); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	one.Beneath = nil
	detach(t, s.Named, one)
	detach(t, s.Named, spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1"))
	collectBridges(t)
}

// TestHopBeneath has Update put the host route to a gateway back that waits beneath another
// interface, and leave it there.
func TestHopBeneath(t *testing.T) {
	s := newStack(t)
	one := spec("eth1", "br1", "10.1.0.2/24", "10.9.0.1")
	two := spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1")
	attach(t, s.Named, one)
	attach(t, s.Named, two)
	hop := func() string { return ip(t, s.guest, "ip", "route", "show", "10.9.0.1") }
	before := hop()
	ip(t, s.guest, "ip", "route", "del", "10.9.0.1", "dev", "eth1")
	update(t, s.Named, one)
	if after := hop(); after != before || before == "" {
		t.Errorf("route to the gateway: %q, was %q", after, before)
	}
	s.as("10.2.0.1", one, two)
	detach(t, s.Named, two)
	s.as("10.9.0.1", one)
	detach(t, s.Named, one)
	collectBridges(t)
}

// collectBridges removes the bridges that nobody uses.
func collectBridges(t *testing.T) {
	t.Helper()
	if _, err := pipework.Collect(t.Context()); err != nil {
		t.Error(err)
	}
}
