//go:build linux

package pipework_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// TestDisplacedComeBack has guests with all sorts of default routes, which an interface with
// gateways displaces. Where nothing else changes meanwhile, routes are the same afterwards,
// line for line; whatever changes, the interface goes.
func TestDisplacedComeBack(t *testing.T) {
	for name, row := range map[string]struct {
		has     []string // commands in the guest, before
		between []string // and while the interface is there
		warns   string   // of detach
		same    bool     // routes afterwards
		left    string   // else a default route that is there
	}{
		"one of each family": {same: true},
		"equal metrics": {
			has: []string{"ip route append default via 172.20.0.3 dev eth0", "ip route append default via 172.20.0.4 dev eth0", "ip route append default via 172.20.0.5 dev eth0 metric 100"}, same: true,
		},
		"equal metrics, of several interfaces": {
			has: []string{"ip link add eth9 type veth peer name p9", "ip link set eth9 up", "ip link set p9 up", "ip addr add 172.21.0.2/16 dev eth9",
				"ip route append default via 172.21.0.1 dev eth9", "ip route append default via 172.20.0.4 dev eth0", "ip route prepend default via 172.21.0.3 dev eth9"}, same: true,
		},
		"several next hops": {
			has: []string{"ip route add default metric 7 proto static nexthop via 172.20.0.3 dev eth0 weight 3 nexthop via 172.20.0.4 dev eth0",
				"ip -6 route append default via fd20::3 dev eth0", "ip -6 route append default via fd20::4 dev eth0"}, same: true,
		},
		"attributes": {
			has: []string{"ip route add default via 172.20.0.3 dev eth0 metric 50 src 172.20.0.2 mtu lock 1300 proto dhcp", "ip route add default dev eth0 scope link metric 51",
				"ip -6 route add default via fd20::3 dev eth0 metric 50 pref high expires 4000", "ip route add default via 172.20.0.7 dev eth0 tos 0x10"}, same: true,
		},
		"a blackhole": {has: []string{"ip route add blackhole default metric 4000", "ip -6 route add unreachable default metric 4000"}, same: true},
		"renumbered": {
			between: []string{"ip addr flush dev eth0", "ip addr add 192.168.7.2/24 dev eth0", "ip -6 addr add fd77::2/64 dev eth0 nodad"}, warns: "fd20::1", // the kernel took the others
		},
		"without the subnet's route": {
			between: []string{"ip route del 172.20.0.0/16"}, warns: "172.20.0.1",
		},
		"unreachable in part": {
			has:     []string{"ip link add eth9 type veth peer name p9", "ip link set eth9 up", "ip link set p9 up", "ip addr add 172.21.0.2/16 dev eth9", "ip route append default via 172.21.0.1 dev eth9 metric 9"},
			between: []string{"ip route del 172.20.0.0/16"}, warns: "172.20.0.1", left: "172.21.0.1",
		},
		"interface gone":      {between: []string{"ip link del eth0"}},
		"interface down":      {between: []string{"ip link set eth0 down"}},
		"put back by a guest": {between: []string{"ip route add default via 172.20.0.1 dev eth0 metric 3"}, left: "172.20.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			target, g := nstest.Guest(t)
			if testing.Short() {
				dhcptest.NoDAD(t, g)
			}
			nstest.Uplink(t, g)
			run := func(commands []string) {
				t.Helper()
				for _, words := range commands {
					ip(t, g, strings.Fields(words)...)
				}
			}
			run(row.has)
			settled := func() bool { return !strings.Contains(ip(t, g, "ip", "-6", "addr"), "tentative") }
			testwait.Eventually(t, "every link has its own address, and they are usable", func() bool {
				own := strings.Count(ip(t, g, "ip", "-6", "route"), "fe80::/64 dev ")
				return own == strings.Count(ip(t, g, "ip", "link"), " state UP ")-1 && settled() // uplink has none
			})
			routes := func() []string {
				return strings.Split(seconds(ip(t, g, "ip", "-d", "route")+ip(t, g, "ip", "-d", "-6", "route")), "\n")
			}
			before := routes()
			s := spec("eth1", "br-back", "10.1.0.2/24", "10.1.0.1", "fd01::2/64", "fd01::1")
			attach(t, target, s)
			if got := defaults(t, g); !slices.Equal(got, []string{"10.1.0.1", "fd01::1"}) {
				t.Errorf("default gateways while it is there: %q", got)
			}
			if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) > 0 {
				t.Errorf("check: %+v, %v", at, err)
			}
			if at := attach(t, target, s); len(at.Mended) > 0 {
				t.Errorf("attach again: %q", at.Mended)
			}
			run(row.between)
			var said strings.Builder
			var back []string
			a := pipework.Attacher{Log: slog.New(slog.NewTextHandler(&said, nil)), Restored: func(_ ns.Identity, iface, route string) { back = append(back, iface+" "+route) }}
			if found, err := a.Detach(t.Context(), target, s); err != nil || !found {
				t.Errorf("detach: %v, %v", found, err)
			}
			if text := said.String(); !strings.Contains(text, row.warns) || row.warns == "" && text != "" {
				t.Errorf("detach says %q, want %q", text, row.warns)
			}
			testwait.Eventually(t, "addresses are usable", settled)
			after := routes()
			if diff := cmp.Diff(before, after); row.same && diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
			if text := strings.Join(after, "\n"); !strings.Contains(text, "default via "+row.left) && row.left != "" || strings.Contains(text, "eth1") {
				t.Errorf("routes %s", text)
			}
			for _, route := range back {
				words := strings.Fields(route) // eth1 default via 10.0.0.1 metric 7
				if i := slices.Index(words, "via"); words[0] != "eth1" || i > 0 && !strings.Contains(strings.Join(after, "\n"), "via "+words[i+1]+" ") {
					t.Errorf("detach says %q of eth1's", route)
				}
			}
			if row.same && row.warns == "" && len(back) < 2 {
				t.Errorf("detach says that %q are back", back)
			}
			if saved := ip(t, g, "ip", "route", "show", "table", "all") + ip(t, g, "ip", "-6", "route", "show", "table", "all"); strings.Contains(saved, "table 21474") {
				t.Errorf("saved routes are left:\n%s", saved)
			}
		})
	}
}
