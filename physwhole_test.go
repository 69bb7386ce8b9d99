//go:build linux

package pipework_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
)

var lifetimes = regexp.MustCompile(`(expires|valid_lft|preferred_lft) ([1-9][0-9])[0-9]*sec`)

// seconds leaves out of a text of iproute2 what changes as time passes.
func seconds(text string) string { return lifetimes.ReplaceAllString(text, "$1 ${2}xx") }

// TestPhysComesHomeWhole has a NIC with every kind of address and route that iproute2 can
// give it, and sees them come back as they were.
func TestPhysComesHomeWhole(t *testing.T) {
	addPhys(t, physVeth())
	host := func(words string) string {
		t.Helper()
		var out strings.Builder
		args := strings.Fields(words)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", words, err, &out)
		}
		return out.String()
	}
	for _, words := range []string{
		"ip addr add 10.20.0.1/24 brd 10.20.0.200 label nic0:lab dev nic0 noprefixroute",
		"ip addr add 10.20.0.2/24 dev nic0 metric 77",
		"ip addr add 10.21.0.1 peer 10.21.0.9/30 dev nic0",
		"ip addr add 169.254.7.7/16 dev nic0 scope link",
		"ip addr add 10.22.0.1/32 dev nic0 valid_lft 4000 preferred_lft 3000",
		"ip addr add fd20::1/64 dev nic0 nodad noprefixroute",
		"ip addr add fd21::1/64 dev nic0 metric 90",
		"ip addr add fd22::1 peer fd22::9/128 dev nic0",
		"ip addr add fd23::1/64 dev nic0 valid_lft 4000 preferred_lft 0",
		"ip addr add fd24::1/64 dev nic0 nodad valid_lft 4000 preferred_lft 3000",
		"ip addr add fe80::77/64 dev nic0",
		"ip link add other type veth peer name other1",
		"ip link set other up", "ip link set other1 up", "ip addr add 10.30.0.1/24 dev other",
	} {
		host(words)
	}
	t.Cleanup(func() { del(t, "other") })
	const conf = "/proc/sys/net/"
	settings := map[string]string{
		"ipv6/conf/nic0/accept_ra": "0", "ipv6/conf/nic0/use_tempaddr": "2", "ipv4/conf/nic0/rp_filter": "2", "ipv4/conf/nic0/arp_ignore": "1",
	}
	for name, value := range settings {
		if err := os.WriteFile(conf+name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	settled := func() bool { return !strings.Contains(host("ip -6 addr show"), "tentative") }
	testwait.Eventually(t, "addresses are usable", settled)
	for _, words := range []string{
		"ip route add 10.90.0.0/16 via 10.8.0.254 dev nic0 proto static metric 5 src 10.8.0.1 mtu lock 1300 rto_min 50ms",
		"ip route add 10.91.0.0/16 via 10.90.0.3 dev nic0 onlink table 77",
		"ip route add 10.20.0.0/24 dev nic0 scope link proto static metric 9",
		"ip route append 10.92.0.0/16 via 10.8.0.253 dev nic0",
		"ip route append 10.92.0.0/16 via 10.8.0.254 dev nic0",
		"ip route add 10.93.0.0/16 proto static nexthop via 10.8.0.254 dev nic0 weight 2 nexthop via 10.30.0.254 dev other",
		"ip route add 10.94.0.0/16 via inet6 fe80::1 dev nic0",
		"ip route add local 10.95.0.0/16 dev nic0",
		"ip -6 route add fd90::/32 via fd21::fe dev nic0 proto static metric 50 src fd21::1 pref high",
		"ip -6 route add fd91::/32 dev nic0 table 88 expires 3000",
		"ip -6 route add fd92::/32 nexthop via fd21::fe dev nic0 nexthop via fd21::fd dev nic0",
	} {
		host(words)
	}
	sorted := func(lines string) string { return strings.Join(slices.Sorted(strings.Lines(lines)), "") }
	world := func() string {
		own := slices.DeleteFunc(slices.Collect(strings.Lines(host("ip -o -d addr show dev nic0"))), func(line string) bool {
			return strings.Contains(line, "fe80::ff:fe00:909") // the kernel makes it once there is carrier
		})
		return seconds(strings.Join(own, "") + sorted(host("ip -o -d route show table all")) + sorted(host("ip -o -d -6 route show table all")))
	}
	before := world()
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Phys{Device: "nic0"}}
	attach(t, target, s)
	detach(t, target, s)
	for name, want := range settings {
		if b, err := os.ReadFile(conf + name); err != nil || strings.TrimSpace(string(b)) != want {
			t.Errorf("%s: %s, %v, want %s", name, b, err, want)
		}
	}
	testwait.Eventually(t, "addresses are usable", settled)
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(world(), "\n")); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}
