//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
)

// typed runs a command on the host and returns what it prints.
func typed(t *testing.T, words string) string {
	t.Helper()
	args := strings.Fields(words)
	b, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", words, err, b)
	}
	return string(b)
}

// addOther makes a second NIC of the host, with a network of its own.
func addOther(t *testing.T) {
	t.Helper()
	for _, words := range []string{
		"ip link add other type veth peer name other1", "ip link set other up", "ip link set other1 up",
		"ip addr add 10.30.0.1/24 dev other", "ip addr add fd30::1/64 dev other nodad",
	} {
		typed(t, words)
	}
	t.Cleanup(func() { del(t, "other") })
}

// TestPhysSharedDefault has a default route that leads through two NICs: it is the host's, too,
// and when it comes back it does not take another's place.
func TestPhysSharedDefault(t *testing.T) {
	for family, c := range map[string]struct{ addr, hops, admin string }{
		"-4": {"10.8.9.1/24", "nexthop via 10.8.9.254 dev nic0 nexthop via 10.30.0.254 dev other", "via 10.30.0.77 dev other"},
		"-6": {"fd08::1/64", "nexthop via fd08::fe dev nic0 nexthop via fd30::fe dev other", "via fd30::77 dev other"},
	} {
		t.Run(family, func(t *testing.T) {
			addPhys(t, physVeth())
			addOther(t)
			typed(t, "ip addr add dev nic0 "+c.addr)
			add := "ip " + family + " route add 0::/0 "
			if family == "-4" {
				add = "ip route add 0.0.0.0/0 "
			}
			typed(t, add+c.hops)
			target, _ := nstest.Guest(t)
			if _, err := pipework.Attach(t.Context(), target, pipework.Spec{Link: link.Phys{Device: "nic0"}}); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("attach: %v", err)
			}
			s := pipework.Spec{Link: link.Phys{Device: "nic0", AllowDefaultRoute: true}}
			attach(t, target, s)
			typed(t, "ip "+family+" route flush default")
			typed(t, add+c.admin)
			detach(t, target, s)
			got := typed(t, "ip "+family+" route show default")
			if !strings.HasPrefix(got, "default "+c.admin) {
				t.Errorf("the administrator's default route: %s", got)
			}
			typed(t, "ip "+family+" route flush default")
		})
	}
}

// TestPhysRoutesAtOnce has routes that need what takes its time, or went with the NIC: a nexthop
// object, and an address while there is no carrier. Nobody waits for them.
func TestPhysRoutesAtOnce(t *testing.T) {
	addPhys(t, physVeth())
	typed(t, "ip addr add fd21::1/64 dev nic0")
	testwait.Eventually(t, "the address is usable", func() bool { return !strings.Contains(typed(t, "ip -6 addr show dev nic0"), "tentative") })
	routes := func() string {
		return typed(t, "ip route show 10.93.0.0/16") + typed(t, "ip -6 route show fd90::/32") + typed(t, "ip -6 route show fd93::/32")
	}
	for _, words := range []string{
		"ip nexthop add id 7 via 10.8.0.254 dev nic0", "ip nexthop add id 8 via fd21::fd dev nic0",
		"ip route add 10.93.0.0/16 nhid 7 proto static", "ip -6 route add fd93::/32 nhid 8 proto static",
		"ip -6 route add fd90::/32 via fd21::fe dev nic0 proto static metric 50 src fd21::1",
	} {
		typed(t, words)
	}
	before := strings.NewReplacer("nhid 7 ", "", "nhid 8 ", "").Replace(routes())
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Phys{Device: "nic0"}}
	attach(t, target, s)
	typed(t, "ip link set wire down")
	start := time.Now()
	detach(t, target, s)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("detach took %v", took)
	}
	if diff := cmp.Diff(before, strings.ReplaceAll(routes(), "linkdown ", "")); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	if got := typed(t, "cat /proc/sys/net/ipv6/conf/nic0/optimistic_dad"); got != "0\n" {
		t.Errorf("optimistic_dad: %s", got)
	}
	typed(t, "ip link set wire up")
	testwait.Eventually(t, "the address is checked", func() bool { return !strings.Contains(typed(t, "ip -6 addr show dev nic0"), "tentative") })
}

// TestPhysRoutesOfOthers has a routing daemon and the administrator lead routes of the NIC
// elsewhere while it is in the guest: there they stay.
func TestPhysRoutesOfOthers(t *testing.T) {
	addPhys(t, physVeth())
	addOther(t)
	for _, words := range []string{
		"ip addr add fd31::1/64 dev nic0 nodad",
		"ip route add 10.77.0.0/16 via 10.8.0.254 dev nic0 proto bgp metric 20",
		"ip route add 10.78.0.0/16 via 10.8.0.254 dev nic0 proto dhcp metric 20",
		"ip -6 route add fd90::/32 via fd31::fe dev nic0 proto static metric 50",
		"ip -6 route add fd91::/32 dev nic0 proto static metric 50",
		"ip -6 route append fd91::/32 dev other proto static metric 50",
		"ip -6 route add fd92::/32 proto static nexthop via fd31::fe dev nic0 nexthop via fd30::fe dev other",
	} {
		typed(t, words)
	}
	const dhcp, shared = "10.78.0.0/16 via 10.8.0.254 dev nic0 proto dhcp metric 20 \n", "fd92::/32"
	beside := typed(t, "ip -6 route show "+shared)
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Phys{Device: "nic0"}}
	attach(t, target, s)
	typed(t, "ip route add 10.77.0.0/16 via 10.30.0.254 dev other proto bgp metric 20")
	typed(t, "ip -6 route add fd90::/32 via fd30::fe dev other proto static metric 50")
	detach(t, target, s)
	for dst, want := range map[string]string{
		"10.77.0.0/16": "10.77.0.0/16 via 10.30.0.254 dev other proto bgp metric 20 \n",
		"10.78.0.0/16": dhcp,
		"fd90::/32":    "fd90::/32 via fd30::fe dev other proto static metric 50 pref medium\n",
		"fd91::/32":    "fd91::/32 dev other proto static metric 50 pref medium\nfd91::/32 dev nic0 proto static metric 50 pref medium\n",
	} {
		if diff := cmp.Diff(want, typed(t, "ip "+family(dst)+" route show "+dst)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", dst, diff)
		}
	}
	if got := typed(t, "ip -6 route show "+shared); strings.Count(got, "nexthop via") != 2 {
		t.Errorf("%s\nwas\n%s", got, beside)
	}
}

// family is iproute2's option for a destination.
func family(dst string) string {
	if strings.Contains(dst, ":") {
		return "-6"
	}
	return "-4"
}

// TestPhysSettings has settings that a NIC could come home without: one that only the
// administrator's later change of the default makes different, those of its neighbours, and the
// secret of its link-local address (RFC 7217).
func TestPhysSettings(t *testing.T) {
	addPhys(t, physVeth())
	const secret = "net.ipv6.conf.nic0.stable_secret"
	for _, words := range []string{
		"sysctl -qw net.ipv4.neigh.nic0.base_reachable_time_ms=61500", "sysctl -qw net.ipv6.neigh.nic0.gc_stale_time=77",
		"sysctl -qw " + secret + "=2001:db8::1234", "ip link set nic0 down", "ip link set nic0 up",
	} {
		typed(t, words)
	}
	const linkLocal = "ip -6 -o addr show dev nic0 scope link"
	usable := func() bool {
		s := typed(t, linkLocal)
		return s != "" && !strings.Contains(s, "tentative")
	}
	testwait.Eventually(t, "the link-local address is usable", usable)
	world := func() string {
		return typed(t, linkLocal) + typed(t, "sysctl net.ipv4.conf.nic0 net.ipv6.conf.nic0 net.ipv4.neigh.nic0 net.ipv6.neigh.nic0")
	}
	before := world()
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Phys{Device: "nic0"}}
	attach(t, target, s)
	typed(t, "sysctl -qw net.ipv4.conf.default.accept_local=1")
	defer typed(t, "sysctl -qw net.ipv4.conf.default.accept_local=0")
	detach(t, target, s)
	testwait.Eventually(t, "the link-local address is usable", usable)
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(world(), "\n")); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

// TestPhysNamesShown has a guest name an interface so that a terminal, or who types what an error
// says, would do something.
func TestPhysNamesShown(t *testing.T) {
	addPhys(t, physVeth())
	target, g := nstest.Guest(t)
	const name = "a\x1b[31m;reboot"
	for _, args := range [][]string{{"link", "add", name, "type", "veth"}, {"link", "property", "add", "dev", name, "altname", "enp9s0f1"}} {
		err := g.Do(t.Context(), func() error { return exec.CommandContext(t.Context(), "ip", args...).Run() })
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := pipework.Attach(t.Context(), target, pipework.Spec{Link: link.Phys{Device: "nic0"}})
	if err == nil || !strings.Contains(err.Error(), `$'a\x1b[31m;reboot' in the guest is called enp9s0f1`) {
		t.Errorf("attach: %q", err)
	}
}
