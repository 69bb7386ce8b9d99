//go:build linux

package uplink_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
)

// A scene is a host with a NIC on a LAN, where there is a router with a remote peer behind it:
//
//	host nic0 10.0.0.2 --- lan --- router 10.0.0.1 | 10.9.0.1 --- remote 10.9.0.2
type scene struct {
	host, lan, router, remote *ns.Guest
	name                      string // of the host's namespace
	plan                      uplink.Plan
	db                        *ovstest.Database // of Open vSwitch, where the bridge is one of that
	vswitchd                  *ovstest.Process
	datapath                  ovstest.Datapath
}

// Settings are those of the host, where duplicates are not looked for.
func newScene(t *testing.T, settings ...string) *scene {
	t.Helper()
	var s scene
	names := map[**ns.Guest]string{}
	for _, g := range []**ns.Guest{&s.host, &s.lan, &s.router, &s.remote} {
		name, guest := nstest.Guest(t)
		*g, names[g] = guest, string(name)
	}
	s.name = names[&s.host]
	for _, g := range []*ns.Guest{s.host, s.lan, s.router, s.remote} {
		sysctl(t, g, "net.ipv6.conf.default.accept_dad=0")
	}
	sysctl(t, s.host, settings...)
	ip(t, s.lan, "link add lan0 type bridge", "link set lan0 up",
		"link add p1 type veth peer name nic0 netns "+names[&s.host], "link add p2 type veth peer name eth0 netns "+names[&s.router],
		"link set p1 master lan0 up", "link set p2 master lan0 up")
	ip(t, s.router, "link add eth1 type veth peer name eth0 netns "+names[&s.remote], "link set eth0 up", "link set eth1 up",
		"addr add 10.0.0.1/24 dev eth0", "addr add 10.9.0.1/24 dev eth1", "addr add fd00::1/64 dev eth0 nodad", "addr add fd09::1/64 dev eth1 nodad")
	sysctl(t, s.router, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	ip(t, s.remote, "link set eth0 up", "addr add 10.9.0.2/24 dev eth0", "addr add fd09::2/64 dev eth0 nodad", "route add default via 10.9.0.1", "route add default via fd09::1")
	ip(t, s.host, "link set nic0 up", "addr add 10.0.0.2/24 brd + dev nic0", "addr add fd00::2/64 dev nic0 nodad",
		"route add default via 10.0.0.1", "route add default via fd00::1")
	atRest(t, s.host)
	store, err := keep.Open(t.TempDir(), link.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s.plan = uplink.Plan{NIC: "nic0", Bridge: "br0", Store: store, Host: s.host.Handle}
	return &s
}

// richly gives the NIC addresses, routes and neighbours of every sort.
func (s *scene) richly(t *testing.T) {
	t.Helper()
	ip(t, s.host,
		"addr add 10.0.0.3/24 brd + dev nic0 label nic0:1", "addr add 10.0.0.4/24 dev nic0", // secondary ones
		"addr add 192.168.7.1 peer 192.168.7.2/32 dev nic0",
		"addr add 172.16.0.5/16 dev nic0 noprefixroute", "addr add 172.17.0.5/16 dev nic0 metric 77 scope link",
		"addr add 10.3.0.5/16 dev nic0 valid_lft 5000 preferred_lft 4000", "addr add 10.4.0.5/32 dev nic0",
		"addr add fd01::5/64 dev nic0 noprefixroute", "addr add fd02::5/64 dev nic0 metric 99", "addr add fd03::5 peer fd03::6/128 dev nic0",
		"addr add fd04::5/64 dev nic0 valid_lft 5000 preferred_lft 0",
		"route add 10.20.0.0/16 via 10.0.0.9 metric 5 src 10.0.0.3", "route append 10.20.0.0/16 via 10.0.0.8 metric 5",
		"route add 10.21.0.0/16 nexthop via 10.0.0.8 dev nic0 nexthop via 10.0.0.9 dev nic0 weight 3",
		"route add 10.22.0.0/16 via 10.0.0.1 mtu 1400 advmss 1300", "route add 10.23.0.0/16 via 203.0.113.1 dev nic0 onlink",
		"route add 10.24.0.0/16 dev nic0 scope link proto 42", "route add default via 10.0.0.1 table 100", "route add local 10.25.0.0/16 dev nic0",
		"route del 172.17.0.0/16 dev nic0", "route add 10.26.0.0/16 via 192.168.7.2", "route add 10.27.0.0/16 via 10.26.0.1 dev nic0 onlink",
		"route add fd20::/64 via fd00::9 metric 5 src fd00::2", "route append fd20::/64 via fd00::8 metric 5",
		"route add fd22::/64 via fd00::1 mtu 1400", "route add fd24::/64 dev nic0 proto 42", "route add default via fd00::1 table 100",
		"route add fd25::/64 via fe80::1 dev nic0 metric 9 pref high", "route add fd26::/64 via fd00::1 expires 3000",
		"rule add from 10.0.0.3 table 100 priority 1000",
		"neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev nic0 nud permanent", "neigh add fd00::77 lladdr 02:00:00:00:00:77 dev nic0 nud permanent", "neigh add proxy 10.0.0.78 dev nic0")
	run(t, s.host, exec.CommandContext(t.Context(), "ip", "-6", "rule", "add", "from", "fd01::/16", "table", "100", "priority", "1000"))
	atRest(t, s.host)
}

// atRest waits until each interface with a carrier has its link-local address, and detection of
// duplicates is over.
func atRest(t *testing.T, g *ns.Guest) {
	t.Helper()
	testwait.Eventually(t, "addresses can be used", func() bool {
		for line := range strings.Lines(show(t, g, "-o link show up")) {
			name, _, _ := strings.Cut(strings.Fields(line)[1], "@")
			name = strings.TrimSuffix(name, ":")
			addrs := show(t, g, "-6 addr show dev "+name)
			link := regexp.MustCompile(`fe80::[0-9a-f:]+`).FindString(addrs)
			if name != "lo" && strings.Contains(line, "LOWER_UP") && (strings.Contains(addrs, "tentative") || link == "" ||
				!strings.Contains(show(t, g, "-6 route show table local dev "+name), "local "+link+" ")) {
				return false
			}
		}
		return true
	})
}

// ip runs commands of ip(8) in the guest.
func ip(t *testing.T, g *ns.Guest, lines ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	run(t, g, cmd)
}

func run(t *testing.T, g *ns.Guest, cmd *exec.Cmd) string {
	t.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := g.Exec(t.Context(), cmd); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out.String())
	}
	return out.String()
}

// sysctl writes settings of the guest.
func sysctl(t *testing.T, g *ns.Guest, settings ...string) {
	t.Helper()
	for _, s := range settings {
		path, value, _ := strings.Cut(s, "=")
		run(t, g, exec.CommandContext(t.Context(), "sh", "-c", "echo "+value+" > /proc/sys/"+strings.ReplaceAll(path, ".", "/")))
	}
}

// show is what ip(8) shows in the guest, without what passes by itself.
func show(t *testing.T, g *ns.Guest, words string) string {
	t.Helper()
	return lasting(raw(t, g, words))
}

// raw is what ip(8) shows in the guest.
func raw(t *testing.T, g *ns.Guest, words string) string {
	t.Helper()
	return run(t, g, exec.CommandContext(t.Context(), "ip", strings.Fields(words)...))
}

// lasting leaves out remaining times, and timers.
func lasting(shown string) string {
	return regexp.MustCompile(`(valid_lft|preferred_lft|expires|\w+_timer) +[0-9.]+ ?(sec)?`).ReplaceAllString(shown, "$1 some")
}

// snapshot is what is to be as before of the guest.
func snapshot(t *testing.T, g *ns.Guest) string {
	t.Helper()
	return lasting(run(t, g, exec.CommandContext(t.Context(), "sh", "-c", `
		for words in "-d addr" "-d -4 route show table all" "-d -6 route show table all" rule "-6 rule" "neigh show nud permanent" "neigh show proxy" "-d link"; do
			echo "ip $words"; ip $words || exit
		done
		cd /proc/sys/net; grep -r . ipv[46]/conf ipv[46]/neigh 2>/dev/null | sort`)))
}
