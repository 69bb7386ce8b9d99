//go:build linux

package uplink_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/uplink"
)

// takeover has the scene's moves be those to a shim.
func (s *scene) takeover() {
	s.plan.Bridge = uplink.ShimName("nic0")
	s.plan.Managed = true
}

// TestTakeover moves all that a NIC can have to a shim, and back; meanwhile guests reach the host
// by its own address.
func TestTakeover(t *testing.T) {
	s := newScene(t, "net.ipv6.conf.default.accept_dad=1", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1")
	s.takeover()
	s.richly(t)
	_, g := s.guest(t, "10.0.0.7/24", "fd00::7/64")
	before := s.snapshot(t)
	routes := func(dev string) (lines []string) {
		text := show(t, s.host, "-4 route show table all type unicast dev "+dev) + show(t, s.host, "-6 route show table all type unicast dev "+dev)
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "fe80::/64") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	had := routes("nic0")
	m, err := uplink.Move(t.Context(), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Warnings {
		t.Error(w)
	}
	if len(m.Addrs) != 13 {
		t.Errorf("%+v", m)
	}
	if diff := cmp.Diff(had, routes("shim-nic0")); diff != "" {
		t.Errorf("the shim's routes are not what the NIC's were:\n%s", diff)
	}
	if left := routes("nic0"); len(left) > 0 {
		t.Errorf("the NIC still has %q", left)
	}
	for _, a := range []string{"10.0.0.2", "fd00::2"} {
		nstest.Ping(t, s.remote.Handle, a)
		nstest.Ping(t, g.Handle, a)
	}
	nstest.Ping(t, s.host.Handle, "10.0.0.7")
	ip(t, s.router, "neigh flush dev eth0")
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	mac := regexp.MustCompile(`link/ether (\S+)`).FindStringSubmatch(show(t, s.host, "link show shim-nic0"))[1]
	if neigh := show(t, s.router, "neigh show 10.0.0.2"); !strings.Contains(neigh, mac) {
		t.Errorf("another MAC than the shim's (%s) answers: %s", mac, neigh)
	}
	again, err := uplink.Move(t.Context(), s.plan)
	if err != nil || !again.Existed {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	if _, err := s.shim("10.0.0.5/24").Add(t.Context()); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if all, err := uplink.List(t.Context(), s.plan); err != nil || len(all) != 1 || !all[0].OK() {
		t.Errorf("%v, %v", all, err)
	}
	if m, err = uplink.Undo(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Warnings {
		t.Error(w)
	}
	s.unchanged(t, before)
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	added(t, s.shim("10.0.0.5/24"))
	if _, err := uplink.Move(t.Context(), s.plan); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	removed(t, s.shim())
	s.unchanged(t, before)
}

// TestTakeoverStream has connections from beyond the router go on through a takeover and its undo.
func TestTakeoverStream(t *testing.T) {
	s := newScene(t, "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1")
	s.takeover()
	streams := []*stream{s.newStream(t, "10.0.0.2"), s.newStream(t, "fd00::2")}
	for range 3 {
		if _, err := uplink.Move(t.Context(), s.plan); err != nil {
			t.Fatal(err)
		}
		for _, st := range streams {
			st.flows(t)
		}
		if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
			t.Fatal(err)
		}
		for _, st := range streams {
			st.flows(t)
		}
	}
	for _, st := range streams {
		t.Logf("longest gap: %v", st.gap())
	}
}

// TestTakeoverFaults fails, and kills, some steps of a takeover and of its undo.
func TestTakeoverFaults(t *testing.T) {
	s := newScene(t)
	s.takeover()
	before := s.snapshot(t)
	for name, with := range map[string]func(context.Context, fault.Injector) context.Context{"fault": fault.With, "kill": fault.Kill} {
		n := contract.SomeSteps(t, with, func(ctx context.Context) error {
			_, err := uplink.Move(ctx, s.plan)
			if err != nil && name == "fault" {
				s.unchanged(t, before)
			}
			undoAll(t, s)
			s.unchanged(t, before)
			return err
		})
		t.Logf("%s: %d steps", name, n)
		if name == "fault" {
			continue
		}
		contract.SomeSteps(t, with, func(ctx context.Context) error {
			if _, err := uplink.Move(t.Context(), s.plan); err != nil {
				t.Fatal(err)
			}
			_, err := uplink.Undo(ctx, s.plan)
			undoAll(t, s)
			s.unchanged(t, before)
			return err
		})
	}
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
}

// TestTakeoverAdvertised has an address and a default route of a router that keeps advertising
// survive a takeover, though the MAC is another one; a guest cannot take the router's place.
func TestTakeoverAdvertised(t *testing.T) {
	s := newScene(t)
	s.takeover()
	ip(t, s.host, "route del default via fd00::1")
	ip(t, s.router, "addr add 2001:db8:1::1/64 dev eth0 nodad")
	router := advertise(t, s.router, "eth0", advertisement("2001:db8:1::", 30*time.Minute, time.Hour))
	text := func(dev string) string {
		return raw(t, s.host, "-6 addr show dev "+dev+" scope global") + raw(t, s.host, "-6 route show dev "+dev)
	}
	const addr, defaultRoute = `inet6 2001:db8:1:\S+/64 scope global dynamic mngtmpaddr`, `default via fe80::\S+ proto ra .*expires`
	has := func(dev, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text(dev)) }
	eventually := func(dev, pattern string) {
		t.Helper()
		testwait.Eventually(t, dev+" has "+pattern, func() bool { return has(dev, pattern) })
	}
	eventually("nic0", addr)
	eventually("nic0", defaultRoute)
	atRest(t, s.host)
	own := netip.MustParseAddr(regexp.MustCompile(`2001:db8:1::?[0-9a-f:]+`).FindString(text("nic0")))
	st := s.newStream(t, own.String())
	before := s.snapshot(t)
	for range 2 {
		if _, err := uplink.Move(t.Context(), s.plan); err != nil {
			t.Fatal(err)
		}
		if !has("shim-nic0", own.String()) || !has("shim-nic0", defaultRoute) || has("nic0", "2001:db8:1:|proto ra") {
			t.Errorf("not moved:\n%s", snapshot(t, s.host))
		}
		st.flows(t)
		if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
			t.Fatal(err)
		}
		st.flows(t)
		s.unchanged(t, before)
	}
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	router.ra.Store(advertisement("2001:db8:1::", 0, 2*time.Hour))
	testwait.Eventually(t, "the router takes its default route back", func() bool { return !has("shim-nic0", defaultRoute) })
	testwait.Eventually(t, "the address lasts longer", func() bool {
		return has("shim-nic0", own.String()+`/64 .*\n\s*valid_lft 7\d\d\dsec`)
	})
	if n := strings.Count(text("shim-nic0"), "scope global dynamic"); n != 1 {
		t.Errorf("%d advertised addresses:\n%s", n, text("shim-nic0"))
	}

	// A guest advertises itself, to all and to the host alone, in vain.
	_, g := s.guest(t, "fd00::7/64")
	advertise(t, g, "eth1", advertisement("2001:db8:bad::", time.Hour, time.Hour))
	local := netip.MustParseAddr(regexp.MustCompile(`fe80::[0-9a-f:]+`).FindString(raw(t, s.host, "-6 addr show dev shim-nic0")))
	advertise(t, g, "eth1", advertisement("2001:db8:bad::", time.Hour, time.Hour), local)
	testwait.Eventually(t, "the guest's advertisements come as far as the router", func() bool { return received(t, s.router) > 3 })
	if shown := snapshot(t, s.host); strings.Contains(shown, "db8:bad") {
		t.Errorf("the host follows what a guest advertises:\n%s", shown)
	}
	if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
		t.Error(err)
	}
}
