//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestContractWithDHCP6 gets an address of each family from dnsmasq, beside the
// static one and with advertised routes, and leaves the server without a lease.
func TestContractWithDHCP6(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	contract.Run(t, contract.Case{
		Peers: true, Drifts: 5, Guest: yielding,
		Setup: func(t testing.TB) link.Backend {
			dhcptest.Network(t)
			s := dhcptest.Dnsmasq(t, append(dhcptest.Range6, "--dhcp-range=10.77.0.50,10.77.0.99,255.255.255.0,120")...)
			t.Cleanup(func() {
				s.Eventually(t, "the release of everything", func(leases string) bool {
					return !strings.Contains(leases, " 10.77.0.") && !strings.Contains(leases, " fd77::")
				})
			})
			return link.Bridge{Name: dhcptest.Bridge}
		},
		Change: func(s *pipework.Spec) { s.DHCP = &dhcp.Config{Family: dhcp.Both} },
	})
}

// yielding is a guest whose own IPv6 default route comes after advertised ones, and which
// does not check for duplicates.
func yielding(t testing.TB, g *ns.Guest) {
	t.Helper()
	dhcptest.NoDAD(t, g)
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	routes, err := nstest.Whole(func() ([]netlink.Route, error) { return h.RouteList(nil, unix.AF_INET6) })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if ones, _ := r.Dst.Mask.Size(); ones > 0 || r.Gw == nil {
			continue
		}
		later := r
		later.Priority = 4096
		if err := errors.Join(h.RouteAdd(&later), h.RouteDel(&r)); err != nil {
			t.Fatal(err)
		}
	}
}

// spec6 asks for IPv6 alone.
func spec6() pipework.Spec {
	return pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, DHCP: &dhcp.Config{Family: dhcp.IPv6}}
}

// TestDHCP6 is a whole life, with duplicate address detection, in a guest in which
// IPv6 is off, as Docker makes it.
func TestDHCP6(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t, append(dhcptest.Range6, "--dhcp-option=option6:dns-server,[fd77::1]", "--dhcp-option=option6:domain-search,six.test",
		"--dhcp-option=option:dns-server,10.77.0.1")...)
	target, g := nstest.Guest(t)
	dhcptest.Sysctl(t, g, "default/disable_ipv6", "1")
	dhcptest.Sysctl(t, g, "default/accept_ra", "0")
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	const before = "nameserver 1.1.1.1\n"
	if err := os.WriteFile(conf, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	world := nstest.Observe(t, g.Handle)
	spec := spec6()
	spec.DHCP.Family, spec.DHCP.ResolvConf = dhcp.Both, conf
	start := time.Now()
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v in %v", a, time.Since(start))
	if a.Lease == nil || a.Lease6 == nil || !slices.Equal(a.Addrs, []netip.Prefix{a.Lease.Addr, a.Lease6.Addr}) || len(a.Warnings) > 0 {
		t.Fatalf("attachment %+v", a)
	}
	if len(a.Gateways) != 2 || !a.Gateways[1].IsLinkLocalUnicast() {
		t.Errorf("gateways %v", a.Gateways)
	}
	preferred, valid, ok := dhcptest.Lifetimes(t, g, a.Lease6.Addr.Addr())
	if !ok || valid > 120 || valid < 100 || preferred > valid || preferred < 50 {
		t.Errorf("the kernel has the address for %d, %d seconds", preferred, valid)
	}
	nstest.Ping(t, g.Handle, "fd77::1")
	nstest.Ping(t, g.Handle, dhcptest.Router)
	if text, _ := os.ReadFile(conf); string(text) != "#pipework eth1 ipv6 begins\nnameserver fd77::1\nsearch six.test\n#pipework eth1 ipv6 ends\n"+
		"#pipework eth1 begins\nnameserver 10.77.0.1\n#pipework eth1 ends\n#pipework eth1# nameserver 1.1.1.1\n" {
		t.Errorf("resolv.conf:\n%s", text)
	}
	if all := new(pipework.Attacher).Kept(target, spec, a); len(all) != 2 || all[0].Lease != a.Lease || all[1].Lease != a.Lease6 || all[1].Config.Family != dhcp.IPv6 {
		t.Errorf("to be kept: %+v", all)
	}
	checked, err := pipework.Check(t.Context(), target, spec)
	if err != nil || checked.Lease6 == nil || checked.Lease6.Addr != a.Lease6.Addr || time.Until(checked.Lease6.Expires) > 121*time.Second || len(checked.Drifts) > 0 {
		t.Errorf("check: %+v, %v", checked, err)
	}
	// Nothing but the name: the interface tells how to give the leases back.
	if _, err := pipework.Detach(t.Context(), target, pipework.Spec{DHCP: &dhcp.Config{ResolvConf: conf}}); err != nil {
		t.Error(err)
	}
	s.Eventually(t, "the release", func(leases string) bool {
		return !strings.Contains(leases, " fd77:") && !strings.Contains(leases, " 10.77.")
	})
	world.Unchanged(t)
	if text, _ := os.ReadFile(conf); string(text) != before {
		t.Errorf("resolv.conf afterwards:\n%s", text)
	}
}

// TestDHCP6Conflict has another host on the link with the address that the server
// gives first.
func TestDHCP6Conflict(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t, dhcptest.Range6...)
	_, squatter := nstest.Guest(t)
	dhcptest.Plug(t, squatter)
	taken := netip.MustParseAddr("fd77::101")
	dhcptest.AddAddr6(t, squatter, taken)
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	a, err := pipework.Attach(t.Context(), target, spec6())
	if err != nil {
		t.Fatal(err)
	}
	if a.Lease6.Has(taken) || slices.Contains(a.Addrs, netip.PrefixFrom(taken, 128)) {
		t.Errorf("attachment %v", a)
	}
	s.Wait(t, "DHCPDECLINE(lan)")
	if _, err := pipework.Detach(t.Context(), target, spec6()); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// TestNoDHCP6 fails in each way that a network may lack something.
func TestNoDHCP6(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	target, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	spec := spec6()
	spec.DHCP.Timeout, spec.DHCP.Tries = 20*time.Millisecond, 2
	_, err := pipework.Attach(t.Context(), target, spec)
	if e, ok := errors.AsType[*pipework.Error](err); !ok || e.Stage != pipework.StageDHCP || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no server: %v", err)
	}
	world.Unchanged(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = pipework.Attach(ctx, target, pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, SLAAC: true})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no router: %v", err)
	}
	world.Unchanged(t)
	dhcptest.Dnsmasq(t, "--dhcp-range=fd77::,static,64,2m") // for nobody
	world = nstest.Observe(t, g.Handle)
	if _, err := pipework.Attach(t.Context(), target, spec6()); !errors.Is(err, dhcp.ErrNoAddrs) {
		t.Errorf("no address: %v", err)
	}
	world.Unchanged(t)
}

// TestDHCP6WithoutRouter gets an address and a warning.
func TestDHCP6WithoutRouter(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp6")
	dhcptest.Network(t)
	dhcptest.Kea6(t, 120, "fd77::600-fd77::6ff")
	target, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	world := nstest.Observe(t, g.Handle)
	a, err := pipework.Attach(t.Context(), target, spec6())
	if err != nil || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "no router has advertised a default route on eth1") {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := pipework.Detach(t.Context(), target, pipework.Spec{}); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// TestSLAAC waits for an address that the kernel makes, in a guest that forwards,
// beside a static address and gateway.
func TestSLAAC(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, dhcptest.SLAAC...)
	target, g := nstest.Guest(t)
	dhcptest.Sysctl(t, g, "all/forwarding", "1")
	world := nstest.Observe(t, g.Handle)
	spec := pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, SLAAC: true}
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Addrs) != 1 || a.Addrs[0].Masked() != netip.MustParsePrefix("fd77::/64") || len(a.Gateways) != 1 || !a.Gateways[0].IsLinkLocalUnicast() || len(a.Warnings) > 0 {
		t.Errorf("attachment %+v", a)
	}
	nstest.Ping(t, g.Handle, "fd77::1")
	dhcptest.SysctlIs(t, g, "eth1/accept_ra", "2")
	dhcptest.Sysctl(t, g, "eth1/accept_ra", "0") // somebody's will: comes back after a failure
	ctx := fault.With(t.Context(), func(step string) error {
		if step == "open netlink events" {
			return fs.ErrClosed
		}
		return nil
	})
	if _, err := pipework.Attach(ctx, target, spec); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("with a fault: %v", err)
	}
	dhcptest.SysctlIs(t, g, "eth1/accept_ra", "0")
	if again, err := pipework.Attach(t.Context(), target, spec); err != nil || !slices.Equal(again.Addrs, a.Addrs) || len(again.Mended) > 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	dhcptest.SysctlIs(t, g, "eth1/accept_ra", "2")
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
	dhcptest.NoDAD(t, g)
	spec.Addrs, spec.Gateways = []netip.Prefix{netip.MustParsePrefix("fd99::5/64")}, []netip.Addr{netip.MustParseAddr("fd99::1")}
	a, err = pipework.Attach(t.Context(), target, spec)
	if err != nil || len(a.Addrs) != 2 || !slices.Equal(a.Gateways, spec.Gateways) {
		t.Errorf("with a gateway: %+v, %v", a, err)
	}
	if checked, err := pipework.Check(t.Context(), target, spec); err != nil || !slices.Equal(checked.Gateways, spec.Gateways) || len(checked.Drifts) > 0 {
		t.Errorf("check: %+v, %v", checked, err)
	}
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// TestOutrankedRouter has a guest with a default route that comes before an advertised one.
func TestOutrankedRouter(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, dhcptest.SLAAC...)
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	spec := pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, SLAAC: true}
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Gateways) > 0 || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "the guest's default via fd20::1 metric 1024 comes before that") {
		t.Errorf("attachment %+v", a)
	}
	ip(t, g, "ip", "-6", "route", "del", "default", "via", "fd20::1")
	if a, err := pipework.Check(t.Context(), target, spec); err != nil || len(a.Gateways) != 1 {
		t.Errorf("check: %+v, %v", a, err)
	}
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
}

// TestKeptLease6Moves renews, lets the server die, rebinds with another, which
// moves the guest, and then be silent until the lease expires.
func TestKeptLease6Moves(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp6")
	dhcptest.Network(t)
	first := dhcptest.Kea6(t, 4, "fd77::600-fd77::6ff")
	target, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	world := nstest.Observe(t, g.Handle)
	spec := spec6()
	spec.DHCP.Timeout, spec.DHCP.Tries = 100*time.Millisecond, 3
	spec.Addrs, spec.Gateways = []netip.Prefix{netip.MustParsePrefix("fd77::8/64")}, []netip.Addr{netip.MustParseAddr("fd77::1")}
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	all := new(pipework.Attacher).Kept(target, spec, a)
	if len(all) != 1 {
		t.Fatalf("%d leases to keep", len(all))
	}
	events := make(chan dhcp.Event, 100)
	all[0].Event = func(ev dhcp.Event) { events <- ev }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { _ = dhcp.Keep(ctx, all...); close(ended) }()
	if ev := await(t, events, dhcp.Renewed); ev.Lease.Addr != a.Lease6.Addr {
		t.Errorf("renewed to %v", ev.Lease.Addr)
	}
	if preferred, valid, ok := dhcptest.Lifetimes(t, g, a.Lease6.Addr.Addr()); !ok || valid < 2 || preferred > 2 {
		t.Errorf("the kernel has the address for %d, %d seconds", preferred, valid)
	}
	first.Stop()
	second := dhcptest.Kea6(t, 4, "fd77::900-fd77::9ff")
	moved := await(t, events, dhcp.Changed)
	if a := moved.Lease.Addr.Addr(); !netip.MustParsePrefix("fd77::900/120").Contains(a) {
		t.Errorf("moved to %v", moved.Lease.Addr)
	}
	nstest.Ping(t, g.Handle, "fd77::1")
	second.Stop()
	await(t, events, dhcp.Lost)
	now, err := pipework.Check(t.Context(), target, spec)
	if err != nil || !slices.Equal(now.Addrs, spec.Addrs) || now.Lease6 != nil {
		t.Errorf("after the end: %+v, %v", now, err)
	}
	cancel()
	<-ended
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// TestDHCP6Expires lets a lease run out that nobody keeps. Attach itself waits two seconds
// for a router.
func TestDHCP6Expires(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp6")
	dhcptest.Network(t)
	dhcptest.Kea6(t, 6, "fd77::600-fd77::6ff")
	target, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	spec := spec6()
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	testwait.Eventually(t, "the kernel lets the address go", func() bool {
		_, _, there := dhcptest.Lifetimes(t, g, a.Lease6.Addr.Addr())
		return !there
	})
	if again, err := pipework.Attach(t.Context(), target, spec); err != nil || len(again.Mended) != 1 || again.Lease6 == nil {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
}
