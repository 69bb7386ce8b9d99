//go:build linux

package pipework_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// routed is a guest with an uplink and default routes, and runs commands in it.
func routed(t *testing.T, commands ...string) (ns.Named, func(command string) string) {
	t.Helper()
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	run := func(command string) string { return ip(t, g, strings.Fields(command)...) }
	for _, command := range commands {
		run(command)
	}
	return target, run
}

// TestTypedSavedRoute has a guest write a route of several next hops into the table of what
// an interface displaced, as if routers had advertised it: the interface goes all the same.
func TestTypedSavedRoute(t *testing.T) {
	target, run := routed(t)
	s := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1", "fd01::2/64", "fd01::1")
	at := attach(t, target, s)
	table := fmt.Sprintf("table %d", 1<<31+at.Index)
	run("ip route add default proto ra metric 9 " + table + " nexthop via 172.20.0.7 dev eth0 nexthop via 172.20.0.8 dev eth0")
	run("ip -6 route add default proto ra metric 9 " + table + " nexthop via fd20::7 dev eth0 nexthop via fd20::8 dev eth0")
	detach(t, target, s)
	if left := run("ip route show "+table) + run("ip -6 route show "+table); left != "" {
		t.Errorf("left: %s", left)
	}
}

// TestOthersTables has a guest use a table of a high number: what is in it stays.
func TestOthersTables(t *testing.T) {
	target, run := routed(t, "ip route add default via 172.20.0.7 dev eth0 table 3000000000", "ip -6 route add default via fd20::7 dev eth0 table 3000000000",
		"ip route add default via 172.20.0.7 dev eth0 table 2147489999")
	routes := func() string {
		return run("ip route show table all type unicast") + run("ip -6 route show table all type unicast")
	}
	before := routes()
	for _, s := range []pipework.Spec{spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1", "fd01::2/64", "fd01::1"), spec("eth1", "br1", "10.1.0.2/24")} {
		attach(t, target, s)
		detach(t, target, s)
		if diff := cmp.Diff(before, routes()); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	}
}

// TestProgramsAdvertisedRoute has a program of the guest's listen to routers, and not the
// kernel: its default route comes back, and the kernel goes on learning none.
func TestProgramsAdvertisedRoute(t *testing.T) {
	for _, sysctls := range [][2]string{{"0", "0"}, {"1", "0"}, {"1", "1"}} {
		target, run := routed(t, "ip -6 route del default", "ip -6 route add default via fd20::1 dev eth0 proto ra metric 100",
			"sysctl -qw net.ipv6.conf.eth0.accept_ra="+sysctls[0], "sysctl -qw net.ipv6.conf.eth0.accept_ra_defrtr="+sysctls[1])
		state := func() string {
			return run("ip -6 route show default") + run("cat /proc/sys/net/ipv6/conf/eth0/accept_ra_defrtr")
		}
		before := state()
		s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
		attach(t, target, s)
		detach(t, target, s)
		if diff := cmp.Diff(before, state()); diff != "" {
			t.Errorf("accept_ra, accept_ra_defrtr %q: -before +after:\n%s", sysctls, diff)
		}
	}
}

// TestDefaultIsBack has a guest put a default route back beside the gateway's, in every
// order: that is a drift, and mending leaves the gateway's alone, as detach does the guest's.
func TestDefaultIsBack(t *testing.T) {
	for _, back := range []string{
		"ip route append default via 172.20.0.1 dev eth0",
		"ip route prepend default via 172.20.0.1 dev eth0",
		"ip -6 route append default via fd20::1 dev eth0 metric 1024",
		"ip -6 route append default dev eth0 metric 1024",
		"ip -6 route prepend default via fd20::1 dev eth0 metric 1024 pref high",
	} {
		t.Run(back, func(t *testing.T) {
			target, run := routed(t, "ip -6 route append default dev eth0 metric 1024")
			routes := func() string {
				return run("ip route show table all type unicast default") + run("ip -6 route show table all type unicast default")
			}
			before := routes()
			s := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1", "fd01::2/64", "fd01::1")
			attach(t, target, s)
			declared := routes()
			run(back)
			if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) != 1 {
				t.Errorf("check: %v, %v\n%s", at, err, routes())
			}
			if at := attach(t, target, s); len(at.Mended) != 1 {
				t.Errorf("mended %q", at.Mended)
			}
			if diff := cmp.Diff(declared, routes()); diff != "" {
				t.Errorf("mended: -want +got:\n%s", diff)
			}
			detach(t, target, s)
			if diff := cmp.Diff(before, routes()); diff != "" {
				t.Errorf("detached: -before +after:\n%s", diff)
			}
		})
	}
}

// TestFailedDetachIsUndone has a guest with several default routes of one metric, and a
// detach that fails: all routes are as before.
func TestFailedDetachIsUndone(t *testing.T) {
	target, run := routed(t, "ip route append default via 172.20.0.4 dev eth0", "ip -6 route append default via fd20::4 dev eth0")
	s := spec("eth1", "br1", "10.1.0.2/24", "10.1.0.1", "fd01::2/64", "fd01::1")
	attach(t, target, s)
	routes := func() string {
		return run("ip route show table all type unicast default") + run("ip -6 route show table all type unicast default")
	}
	before := routes()
	ctx := fault.With(t.Context(), func(step string) error {
		if strings.Contains(step, "DELLINK") {
			return errors.New("no")
		}
		return nil
	})
	if _, err := pipework.Detach(ctx, target, s); err == nil {
		t.Error("detach did not fail")
	}
	if diff := cmp.Diff(before, routes()); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}
