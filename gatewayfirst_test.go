//go:build linux

package pipework_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestRoutersBesideGateway has one interface follow routers of a high preference, and another
// have a gateway, in any order and declared again: both are as declared, and the gateway has
// the default route while it is there.
func TestRoutersBesideGateway(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	gateway := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	routed := pipework.Spec{Name: "eth2", Link: link.Bridge{Name: dhcptest.Bridge}}
	slaac, dhcp6 := routed, routed
	slaac.SLAAC, dhcp6.DHCP = true, &dhcp.Config{Family: dhcp.IPv6}
	for name, by := range map[string]struct {
		pipework.Spec
		server []string
	}{"slaac": {slaac, dhcptest.SLAAC}, "dhcp6": {dhcp6, dhcptest.Range6}} {
		for order, specs := range map[string][]pipework.Spec{
			"routers first": {by.Spec, gateway, by.Spec, gateway, by.Spec},
			"gateway first": {gateway, by.Spec, gateway, by.Spec, gateway},
		} {
			t.Run(name+", "+order, func(t *testing.T) {
				dhcptest.Network(t)
				dhcptest.Dnsmasq(t, append(slices.Clone(by.server), "--ra-param="+dhcptest.Bridge+",high,4,1800")...)
				besideGateway(t, by.Spec, gateway, specs)
			})
		}
	}
}

func besideGateway(t *testing.T, routed, gateway pipework.Spec, specs []pipework.Spec) {
	t.Helper()
	target, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	notes := func() string { return ip(t, g, "ip", "route", "show", "table", "2147483648") }
	for i, s := range specs {
		at := attach(t, target, s)
		if i == 0 {
			continue
		}
		if len(at.Mended) > 0 {
			t.Errorf("step %d: mended %q", i, at.Mended)
		}
		dhcptest.SysctlIs(t, g, "eth2/accept_ra_defrtr", "0")
		if got := ip(t, g, "ip", "-6", "route", "show", "default"); strings.Count(got, "via") != 1 || !strings.Contains(got, "via fd09::1 ") {
			t.Errorf("step %d: routes %s", i, got)
		}
		for _, s := range []pipework.Spec{routed, gateway} {
			if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) > 0 {
				t.Errorf("step %d: check of %s: %+v, %v", i, s.Name, at, err)
			}
		}
	}
	all := notes()
	detach(t, target, routed)
	if got := notes(); strings.Count(got, "\n") != strings.Count(all, "\n")-1 {
		t.Errorf("notes %q, after %s is detached %q", all, routed.Name, got)
	}
	attach(t, target, routed)
	detach(t, target, gateway)
	dhcptest.SysctlIs(t, g, "eth2/accept_ra_defrtr", "1")
	testwait.Eventually(t, "the router's route is back", func() bool {
		return strings.Contains(ip(t, g, "ip", "-6", "route", "show", "default"), "proto ra")
	})
	detach(t, target, routed)
	if got := ip(t, g, "ip", "route", "show", "table", "all"); strings.Contains(got, "table 21474") {
		t.Errorf("notes are left: %s", got)
	}
}

// TestRouterHeardBeforeOneBeneath has a router come before a gateway; another one that is
// attached beneath that leaves the first one its place.
func TestRouterHeardBeforeOneBeneath(t *testing.T) {
	target, g := nstest.Guest(t)
	one, two := spec("eth1", "br1", "fd09::2/64", "fd09::1"), spec("eth2", "br2", "fd08::2/64", "fd08::1")
	one.Beneath = []string{"eth2"}
	attach(t, target, two)
	l := &learner{router: newRouter(t, g, target), Named: target}
	before := l.defrtr("eth0")
	l.advertiseNew()
	if got := l.defaults(); !strings.Contains(got, "proto ra") {
		t.Fatalf("routes %s", got)
	}
	attach(t, target, one)
	l.only("fd08::1", one, two)
	detach(t, target, two)
	l.only("fd09::1", one)
	detach(t, target, one)
	if got := l.defrtr("eth0"); got != before {
		t.Errorf("accept_ra_defrtr %s, was %s", got, before)
	}
	l.advertiseNew()
	if got := l.defaults(); !strings.Contains(got, "proto ra") || strings.Contains(l.state(), "table 21474") {
		t.Errorf("afterwards: %s", l.state())
	}
}

// TestInterfaceVanishes has an interface of the guest's go while the kernel is told to learn no
// default routes on it, and on it again.
func TestInterfaceVanishes(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	dhcptest.NoDAD(t, g)
	vanishing := func() context.Context {
		once := new(sync.Once)
		return fault.With(t.Context(), func(step string) error {
			if step == "sysctl accept_ra_defrtr" {
				once.Do(func() { ip(t, g, "ip", "link", "del", "churn1") })
			}
			return nil
		})
	}
	churn := func() { ip(t, g, "ip", "link", "add", "churn1", "type", "veth", "peer", "name", "churn2") }
	churn()
	if _, err := pipework.Attach(vanishing(), target, s); err != nil {
		t.Fatal(err)
	}
	churn()
	detach(t, target, s)
	ip(t, g, "ip", "link", "del", "churn1")
	churn()
	attach(t, target, s)
	if _, warnings := detachTold(vanishing(), t, target, s); warnings != "" {
		t.Errorf("warnings %s", warnings)
	}
}

// TestForgedNotes has a guest write thousands of notes, and of displaced routes: detach deals
// with some.
func TestForgedNotes(t *testing.T) {
	l := newLearner(t)
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	before := l.defrtr("eth0")
	attach(t, l.Named, s)
	var notes, saved strings.Builder
	const forged = 3000
	index := l.index("eth1")
	for i := range forged {
		fmt.Fprintf(&notes, "route add blackhole default table 2147483648 metric %d proto 112 reordering 1886846976\n", i+1000000)
	}
	for i := range forged / 6 {
		fmt.Fprintf(&notes, "route append blackhole default table 2147483648 metric 1 proto 112 reordering 1886846976 initcwnd %d\n", i+1)
	}
	for i := range 4200 {
		fmt.Fprintf(&saved, "route add default dev eth0 table %d metric %d proto 112\n", 1<<31|index, i+1)
	}
	for name, text := range map[string]string{"notes": notes.String(), "saved": saved.String()} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l.run("ip -batch " + file)
	}
	steps := 0
	ctx := fault.With(t.Context(), func(string) error { steps++; return nil })
	_, warnings := detachTold(ctx, t, l.Named, s)
	if steps > 2*4096+2000 {
		t.Errorf("%d steps", steps)
	}
	if strings.Count(warnings, "\n") > 3 || !strings.Contains(warnings, "notes of no interface") || !strings.Contains(warnings, "displaced") {
		t.Errorf("warnings %s", warnings)
	}
	if got := l.defrtr("eth0"); got != before {
		t.Errorf("accept_ra_defrtr %s", got)
	}
}

// TestLearnsAsBefore has a guest with another number in its setting than 1, which comes back.
func TestLearnsAsBefore(t *testing.T) {
	for _, value := range []string{"2", "-1"} {
		t.Run(value, func(t *testing.T) {
			l := newLearner(t)
			l.run("sysctl -qw net.ipv6.conf.eth0.accept_ra_defrtr=" + value)
			before := l.hears()
			one, two := spec("eth1", "br1", "fd09::2/64", "fd09::1"), spec("eth2", "br2", "fd08::2/64", "fd08::1")
			attach(t, l.Named, one)
			attach(t, l.Named, two)
			l.only("fd08::1", one, two)
			detach(t, l.Named, one)
			detach(t, l.Named, two)
			if got := l.defrtr("eth0"); got != value {
				t.Errorf("accept_ra_defrtr %s", got)
			}
			l.same(before)
		})
	}
}

// TestToldWhatIsLearned has the kernel learn again, or not: only then is that told.
func TestToldWhatIsLearned(t *testing.T) {
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	for name, row := range map[string]struct {
		command string
		learns  int
	}{
		"as it was":          {"true", 1},
		"another value":      {"sysctl -qw net.ipv6.conf.eth0.accept_ra_defrtr=2", 1},
		"follows no routers": {"sysctl -qw net.ipv6.conf.eth0.accept_ra=0", 0},
		"forwards":           {"sysctl -qw net.ipv6.conf.eth0.forwarding=1", 0},
		"no IPv6":            {"sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", 0},
		"low MTU":            {"ip link set eth0 mtu 1000", 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLearner(t)
			l.hears()
			attach(t, l.Named, s)
			l.run(row.command)
			if back, _ := detachTold(t.Context(), t, l.Named, s); len(back) != row.learns {
				t.Errorf("back: %q", back)
			}
		})
	}
}

// detachTold detaches, and returns the routes that are told to be back, and the warnings.
func detachTold(ctx context.Context, t *testing.T, target pipework.Target, s pipework.Spec) (back []string, warnings string) {
	t.Helper()
	var said strings.Builder
	a := pipework.Attacher{
		Log:      slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Restored: func(_ ns.Identity, _, route string) { back = append(back, route) },
	}
	if _, err := a.Detach(ctx, target, s); err != nil {
		t.Error(err)
	}
	return back, said.String()
}

// index is an interface's of the guest.
func (l *learner) index(name string) (index int) {
	l.Helper()
	if _, err := fmt.Sscanf(l.run("ip -o link show dev "+name), "%d:", &index); err != nil {
		l.Fatal(err)
	}
	return index
}
