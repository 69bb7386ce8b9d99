//go:build linux

package pipework_test

import (
	"fmt"
	"strings"
	"testing"

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
	if left := run("ip route show " + table) + run("ip -6 route show " + table); left != "" {
		t.Errorf("left: %s", left)
	}
}
