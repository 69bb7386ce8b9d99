//go:build linux

package pipework_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// drifts are those that Check tells.
func drifts(t *testing.T, target pipework.Target, s pipework.Spec) []string {
	t.Helper()
	at, err := pipework.Check(t.Context(), target, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.Drifts
}

// flushTable deletes what is kept in the guest in this table, as its root may.
func flushTable(t *testing.T, g *ns.Guest, table uint32) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		ip(t, g, "sh", "-c", fmt.Sprintf("ip %s route flush table %d 2>&1 || true", family, table)) // a family may have none
	}
}

// TestLostCopies has the guest's root delete the copies of default routes that were displaced.
// Who has a record of them is told, has them kept again by attaching again, and by Detach has
// them back with all that they had.
func TestLostCopies(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	ip(t, g, "ip", "route", "add", "default", "via", "172.20.0.3", "dev", "eth0", "metric", "50", "src", "172.20.0.2", "mtu", "lock", "1300", "proto", "dhcp")
	ip(t, g, "ip", "route", "add", "default", "metric", "7", "proto", "static", "nexthop", "via", "172.20.0.3", "dev", "eth0", "weight", "3", "nexthop", "via", "172.20.0.4", "dev", "eth0")
	routes := func() string { return ip(t, g, "ip", "-d", "route") + ip(t, g, "ip", "-d", "-6", "route") }
	testwait.Eventually(t, "addresses are usable", func() bool { return !strings.Contains(ip(t, g, "ip", "-6", "addr"), "tentative") })
	before := routes()
	s := spec("eth1", "br-lost", "10.1.0.2/24", "10.1.0.1", "fd01::2/64", "fd01::1")
	at := attach(t, target, s)
	s.Saved = at.Saved
	if got := drifts(t, target, s); len(at.Saved) != 6 || len(got) > 0 {
		t.Fatalf("%d are saved; drifts %q", len(at.Saved), got)
	}
	table := uint32(1<<31 + at.Index)
	flushTable(t, g, table)
	if got := drifts(t, target, s); len(got) != 5 || !strings.Contains(got[0], "172.20.0.1, which was displaced, is not kept any more") {
		t.Errorf("drifts %q", got)
	}
	ip(t, g, "ip", "link", "set", "eth0", "down") // the kernel itself drops them
	if got := drifts(t, target, s); len(got) > 0 {
		t.Errorf("while eth0 is down: drifts %q", got)
	}
	ip(t, g, "ip", "link", "set", "eth0", "up")
	ip(t, g, "ip", "-6", "addr", "replace", "fd20::2/64", "dev", "eth0", "nodad")
	if got := attach(t, target, s).Mended; len(got) != 5 {
		t.Errorf("attach again mends %q", got)
	}
	if got := drifts(t, target, s); len(got) > 0 {
		t.Errorf("after it is mended: drifts %q", got)
	}
	flushTable(t, g, table)
	var back []string
	var said strings.Builder
	a := pipework.Attacher{Log: slog.New(slog.NewTextHandler(&said, nil)), Restored: func(_ ns.Identity, _, route string) { back = append(back, route) }}
	if _, err := a.Detach(t.Context(), target, s); err != nil {
		t.Fatal(err)
	}
	testwait.Eventually(t, "addresses are usable", func() bool { return !strings.Contains(ip(t, g, "ip", "-6", "addr"), "tentative") })
	if diff := cmp.Diff(before, routes()); diff != "" || len(back) != 5 || said.Len() > 0 {
		t.Errorf("-before +after:\n%s\nback: %q, said %q", diff, back, said.String())
	}
}

// TestLostCopyCannotComeBack has a lost copy lead nowhere by now: the interface goes, and a
// warning says so.
func TestLostCopyCannotComeBack(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	s := spec("eth1", "br-lost", "10.1.0.2/24", "10.1.0.1")
	at := attach(t, target, s)
	s.Saved = at.Saved
	flushTable(t, g, uint32(1<<31+at.Index))
	ip(t, g, "ip", "route", "del", "172.20.0.0/16")
	var said strings.Builder
	a := pipework.Attacher{Log: slog.New(slog.NewTextHandler(&said, nil))}
	if _, err := a.Detach(t.Context(), target, s); err != nil || !strings.Contains(said.String(), "172.20.0.1") {
		t.Errorf("detach: %v, said %q", err, said.String())
	}
}

// TestSavedOfAnother has what is known of one guest be given for another one: it does not count.
func TestSavedOfAnother(t *testing.T) {
	one, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	s := spec("eth1", "br-lost", "10.1.0.2/24", "10.1.0.1")
	s.Saved = attach(t, one, s).Saved
	other, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	ip(t, g, "ip", "route", "replace", "default", "via", "172.20.0.7")
	attach(t, other, s)
	if got := drifts(t, other, s); len(s.Saved) == 0 || len(got) > 0 {
		t.Errorf("%d are saved; drifts %q", len(s.Saved), got)
	}
	detach(t, other, s)
	if got := ip(t, g, "ip", "route", "show", "default"); strings.Contains(got, "172.20.0.1 ") {
		t.Errorf("routes %s", got)
	}
}

// TestLostOfStack has the copies be lost that a stack of interfaces keeps: whichever goes first,
// in the end what the guest had is back.
func TestLostOfStack(t *testing.T) {
	one, two := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1"), spec("eth2", "br2", "10.2.0.2/24", "10.2.0.1")
	for name, first := range map[string]int{"the lower one first": 0, "the upper one first": 1} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			all := []pipework.Spec{one, two}
			for i := range all {
				at := attach(t, s.Named, all[i])
				all[i].Saved = at.Saved
				if len(at.Saved) != 3 {
					t.Errorf("%s: %d are saved", at.Name, len(at.Saved))
				}
			}
			for i, at := range []*pipework.Attachment{attach(t, s.Named, all[0]), attach(t, s.Named, all[1])} {
				if len(at.Mended) > 0 || len(drifts(t, s.Named, all[i])) > 0 {
					t.Errorf("%s: mended %q", at.Name, at.Mended)
				}
				if i == 0 {
					flushTable(t, s.guest, uint32(1<<31+at.Index))
					if got := drifts(t, s.Named, all[0]); len(got) != 2 {
						t.Errorf("drifts %q", got)
					}
					attach(t, s.Named, all[1])
				}
			}
			detach(t, s.Named, all[first])
			if got := drifts(t, s.Named, all[1-first]); len(got) > 0 {
				t.Errorf("when one is detached: drifts %q", got)
			}
			detach(t, s.Named, all[1-first])
			s.unchanged()
		})
	}
}

// TestLostNotes has the guest's root delete the notes of where the kernel is to learn default
// routes again, of an interface that no router has advertised itself on, too.
func TestLostNotes(t *testing.T) {
	const notes = 1 << 31
	one, two := spec("eth1", "br1", "fd09::2/64", "fd09::1"), spec("eth2", "br2", "fd08::2/64", "fd08::1")
	told := func(l *learner, s pipework.Spec) bool {
		l.Helper()
		return slices.ContainsFunc(drifts(l.T, l.Named, s), func(d string) bool {
			return strings.Contains(d, "no default routes are learned on eth0") && strings.Contains(d, "nothing notes")
		})
	}
	for name, row := range map[string]struct {
		before  string // a command in the guest
		between func(l *learner)
		defrtr  string // of eth0, at the end
	}{
		"deleted": {between: func(l *learner) {
			flushTable(l.T, l.of, notes)
			if !told(l, one) {
				l.Error("check tells nothing")
			}
		}, defrtr: "1"},
		"deleted, and attached again": {between: func(l *learner) {
			flushTable(l.T, l.of, notes)
			if got := attach(l.T, l.Named, one).Mended; len(got) != 1 || told(l, one) {
				l.Errorf("mended %q", got)
			}
		}, defrtr: "1"},
		"deleted, of two gateways": {between: func(l *learner) {
			attach(l.T, l.Named, two)
			flushTable(l.T, l.of, notes)
			if !told(l, one) || !told(l, two) {
				l.Error("check tells nothing")
			}
			detach(l.T, l.Named, two)
			if l.defrtr("eth0") != "0" {
				l.Error("the kernel learns while there is a gateway")
			}
		}, defrtr: "1"},
		"deleted, and an update without gateway": {between: func(l *learner) {
			flushTable(l.T, l.of, notes)
			plain := one
			plain.Gateways = nil
			update(l.T, l.Named, plain)
			if l.defrtr("eth0") != "1" {
				l.Error("the kernel does not learn after the update")
			}
			update(l.T, l.Named, one)
		}, defrtr: "1"},
		"deleted with the gateway's route": {between: func(l *learner) {
			flushTable(l.T, l.of, notes)
			l.run("ip -6 route del default via fd09::1")
		}, defrtr: "1"},
		"the guest's own choice": {before: "sysctl -qw net.ipv6.conf.eth0.accept_ra_defrtr=0", between: func(l *learner) {
			if told(l, one) {
				l.Error("check tells of it")
			}
			attach(l.T, l.Named, two)
			detach(l.T, l.Named, two)
		}, defrtr: "0"},
		"the guest's choice for new interfaces": {before: "sysctl -qw net.ipv6.conf.default.accept_ra_defrtr=0", between: func(l *learner) {
			l.run("ip link add eth7 type veth peer name eth8")
			if got := drifts(l.T, l.Named, one); len(got) > 0 {
				l.Errorf("drifts %q", got)
			}
		}, defrtr: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLearner(t)
			if row.before != "" {
				l.run(row.before)
			}
			attach(t, l.Named, one)
			if got := l.defrtr("eth0"); got != "0" || told(l, one) {
				t.Fatalf("accept_ra_defrtr %s; drifts %q", got, drifts(t, l.Named, one))
			}
			row.between(l)
			detach(t, l.Named, one)
			if got := l.defrtr("eth0"); got != row.defrtr {
				t.Errorf("accept_ra_defrtr is %s afterwards, want %s", got, row.defrtr)
			}
			if state := l.state(); strings.Contains(state, "table 21474") {
				t.Errorf("left: %s", state)
			}
		})
	}
}

// TestManyDefaultRoutes has a guest with thousands of default routes: a result tells some, and
// how many more, and detach brings all back.
func TestManyDefaultRoutes(t *testing.T) {
	const many = 3000
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	ip(t, g, "sh", "-c", fmt.Sprintf("seq %d | sed 's/.*/route add default via 172.20.0.1 dev eth0 metric 1&/' | ip -batch -", many))
	s := spec("eth1", "br-many", "10.1.0.2/24", "10.1.0.1")
	at := attach(t, target, s)
	told := func(when string, at *pipework.Attachment) {
		t.Helper()
		more := len(at.Displaced) - 1
		if more != 31 || at.Displaced[more] != fmt.Sprintf("%d more", many+2-31) || len(at.Saved) != 17 {
			t.Errorf("%s: %d are told, and %d whole: %q", when, len(at.Displaced), len(at.Saved), at.Displaced)
		}
		if text := strings.Join(at.Warnings, "; "); !strings.Contains(text, fmt.Sprintf("%d default routes more than a record holds", many+2-16)) {
			t.Errorf("%s: warnings %q", when, text)
		}
	}
	told("attach", at)
	checked, err := pipework.Check(t.Context(), target, s)
	if err != nil || len(checked.Drifts) > 0 {
		t.Fatalf("check: %v, %v", checked, err)
	}
	told("check", checked)
	s.Saved = at.Saved
	detach(t, target, s)
	if got := strings.Count(ip(t, g, "ip", "route", "show", "default"), "\n"); got != many+2 {
		t.Errorf("%d routes are back", got)
	}
	ip(t, g, "sh", "-c", "ip route flush default")
	ip(t, g, "sh", "-c", fmt.Sprintf("seq %d | sed 's/.*/route add default via 172.20.0.1 dev eth0 metric 1&/' | ip -batch -", many))
	attach(t, target, s)
	ip(t, g, "ip", "route", "del", "172.20.0.0/16")
	var said strings.Builder
	a := pipework.Attacher{Log: slog.New(slog.NewTextHandler(&said, nil))}
	if _, err := a.Detach(t.Context(), target, pipework.Spec{}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(said.String(), "\n"); lines != 9 || !strings.Contains(said.String(), fmt.Sprintf("%d more", many-8)) {
		t.Errorf("detach says %d lines: %s", lines, said.String())
	}
}
