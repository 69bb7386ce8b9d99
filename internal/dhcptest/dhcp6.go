//go:build linux

package dhcptest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// Range6 is for Dnsmasq: addresses fd77::100 to fd77::1ff for two minutes, and
// router advertisements that say so.
var Range6 = []string{"--enable-ra", "--dhcp-range=fd77::100,fd77::1ff,64,2m"}

// SLAAC is for Dnsmasq: router advertisements of fd77::/64, and no addresses.
var SLAAC = []string{"--enable-ra", "--dhcp-range=fd77::,ra-only,64,2m"}

// Kea6 starts kea-dhcp6 on the network. It gives out the addresses of pool, such
// as "fd77::600-fd77::6ff", for lease seconds, half of it preferred, with T1 and
// T2 at a quarter and at three eighths. Every one that is started has another DUID.
func Kea6(t testing.TB, lease int, pool string) *Server {
	t.Helper()
	program, dir := Need(t, "kea-dhcp6"), t.TempDir()
	conf := fmt.Sprintf(`{"Dhcp6":{"interfaces-config":{"interfaces":[%q]},
"lease-database":{"type":"memfile","persist":true,"name":%q,"lfc-interval":0},
"server-id":{"type":"EN","enterprise-id":9,"identifier":"%08X","persist":false},
"preferred-lifetime":%d,"valid-lifetime":%d,"renew-timer":%d,"rebind-timer":%d,
"option-data":[{"name":"dns-servers","data":"fd77::1"},{"name":"domain-search","data":"ln.test"}],
"subnet6":[{"id":1,"subnet":"fd77::/64","interface":%[1]q,"rapid-commit":true,"pools":[{"pool":%[8]q}]}],
"loggers":[{"name":"kea-dhcp6","output_options":[{"output":"stdout"}],"severity":"DEBUG","debuglevel":10}]}}`,
		Bridge, dir+"/leases", rand.Uint32(), max(1, lease/2), lease, max(1, lease/4), max(2, lease*3/8), pool)
	must(t, os.WriteFile(dir+"/conf", []byte(conf), 0o644))
	return start(t, dir, "DHCP6_STARTED", program, "-c", dir+"/conf")
}

// NoDAD switches duplicate address detection off in the guest, for interfaces
// that are yet to come: it takes up to two seconds for each address.
func NoDAD(t testing.TB, g *ns.Guest) {
	t.Helper()
	for _, where := range []string{"all", "default"} {
		Sysctl(t, g, where+"/accept_dad", "0")
	}
}

// Sysctl sets an IPv6 sysctl of the guest, below net.ipv6.conf.
func Sysctl(t testing.TB, g *ns.Guest, name, value string) {
	t.Helper()
	must(t, g.Do(t.Context(), func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/"+name, []byte(value), 0)
	}))
}

// SysctlIs fails the test unless an IPv6 sysctl of the guest has this value.
func SysctlIs(t testing.TB, g *ns.Guest, name, want string) {
	t.Helper()
	must(t, g.Do(t.Context(), func() error {
		got, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name)
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("sysctl %s is %s instead of %s", name, bytes.TrimSpace(got), want)
		}
		return err
	}))
}

// Lifetimes are how many seconds the kernel still prefers the address, and keeps
// it, as it tells them; false when no interface of the guest has it.
func Lifetimes(t testing.TB, g *ns.Guest, a netip.Addr) (preferred, valid int, ok bool) {
	t.Helper()
	h := within(t, g)
	defer h.Close()
	addrs, err := nstest.Whole(func() ([]netlink.Addr, error) { return h.AddrList(nil, unix.AF_INET6) })
	must(t, err)
	for _, have := range addrs {
		if have.IP.Equal(a.AsSlice()) {
			return have.PreferedLft, have.ValidLft, true
		}
	}
	return 0, 0, false
}

// AddAddr6 gives the guest's eth1 a DHCPv6 address, without asking whether another
// has it.
func AddAddr6(t testing.TB, g *ns.Guest, a netip.Addr) {
	t.Helper()
	h := within(t, g)
	defer h.Close()
	eth1, err := h.LinkByName("eth1")
	must(t, err)
	addr := &netlink.Addr{IPNet: netlink.NewIPNet(a.AsSlice()), Flags: unix.IFA_F_NODAD}
	must(t, h.AddrReplace(eth1, addr))
}
