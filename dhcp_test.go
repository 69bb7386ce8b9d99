//go:build linux

package pipework_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
)

// TestContractWithDHCP gets an address beside the static ones, from dnsmasq, and
// leaves the server without a lease.
func TestContractWithDHCP(t *testing.T) {
	contractWithDHCP(t, func(s *pipework.Spec) { s.DHCP = &dhcp.Config{} })
}

// TestContractPinnedWithDHCP does so for a guest that is not trusted.
func TestContractPinnedWithDHCP(t *testing.T) {
	contractWithDHCP(t, func(s *pipework.Spec) { s.DHCP, s.Pin = &dhcp.Config{}, true })
}

func contractWithDHCP(t *testing.T, change func(*pipework.Spec)) {
	dhcptest.Need(t, "dnsmasq")
	contract.Run(t, contract.Case{
		Peers: true, Drifts: 4,
		Setup: func(t testing.TB) link.Backend {
			dhcptest.Network(t)
			s := dhcptest.Dnsmasq(t, "--dhcp-option=option:router,10.77.0.1", "--dhcp-option=121,10.200.0.0/16,10.77.0.254,10.201.0.0/16,10.99.0.1",
				"--dhcp-option=option:mtu,1400", "--dhcp-range=10.77.0.50,10.77.0.99,255.255.255.0,120", "--dhcp-option=option:dns-server,10.77.0.1")
			t.Cleanup(func() {
				s.Eventually(t, "the release of everything", func(leases string) bool { return !strings.Contains(leases, " 10.77.0.") })
			})
			return link.Bridge{Name: dhcptest.Bridge}
		},
		Change: change,
	})
}

// dhcpSpec asks for everything from a server.
func dhcpSpec() pipework.Spec {
	return pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, DHCP: new(dhcp.Config)}
}

func TestDHCP(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t, "--dhcp-option=option:router,10.77.0.1", "--dhcp-option=option:dns-server,10.77.0.1", "--dhcp-option=option:domain-search,ln.test")
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	const before = "nameserver 1.1.1.1\nsearch old.test"
	if err := os.WriteFile(conf, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	world := nstest.Observe(t, g.Handle)
	spec := dhcpSpec()
	spec.DHCP.ResolvConf, spec.DHCP.ClientID = conf, []byte("\x00web")
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	if a.Lease == nil || !slices.Contains(a.Addrs, a.Lease.Addr) || len(a.Gateways) != 1 || len(a.Displaced) != 2 || len(a.Warnings) > 0 {
		t.Errorf("attachment %+v", a)
	}
	if text, _ := os.ReadFile(conf); !strings.HasPrefix(string(text), "#pipework eth1 begins\nnameserver 10.77.0.1\nsearch ln.test\n#pipework eth1 ends\n#pipework eth1# nameserver 1.1.1.1\n") {
		t.Errorf("resolv.conf:\n%s", text)
	}
	nstest.Ping(t, g.Handle, dhcptest.Router)
	s.Eventually(t, "the lease", func(leases string) bool { return strings.Contains(leases, a.Lease.Addr.Addr().String()) })
	checked, err := pipework.Check(t.Context(), target, spec)
	if err != nil || checked.Lease == nil || checked.Lease.Addr != a.Lease.Addr || time.Until(checked.Lease.Expires) > 121*time.Second || len(checked.Drifts) > 0 {
		t.Errorf("check: %+v, %v", checked, err)
	}
	// Nothing but the name: the interface tells how to give the lease back.
	if _, err := pipework.Detach(t.Context(), target, pipework.Spec{DHCP: &dhcp.Config{ResolvConf: conf}}); err != nil {
		t.Error(err)
	}
	s.Eventually(t, "the release", func(leases string) bool { return !strings.Contains(leases, "10.77.0.") })
	world.Unchanged(t)
	if text, _ := os.ReadFile(conf); string(text) != before {
		t.Errorf("resolv.conf afterwards:\n%s", text)
	}
}

func TestNoDHCPServer(t *testing.T) {
	dhcptest.Network(t)
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	spec := dhcpSpec()
	spec.DHCP.Timeout, spec.DHCP.Tries = 20*time.Millisecond, 2
	_, err := pipework.Attach(t.Context(), target, spec)
	if e, ok := errors.AsType[*pipework.Error](err); !ok || e.Stage != pipework.StageDHCP || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("attach: %v", err)
	}
	world.Unchanged(t)
}

// TestKeptLeaseMoves lets the server refuse a renewal, so that the address
// changes, and then be silent until the lease expires.
func TestKeptLeaseMoves(t *testing.T) {
	dhcptest.Need(t, "dhcpd")
	dhcptest.Network(t)
	first := dhcptest.ISC(t, 6, 120, 130)
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	announced := dhcptest.Listen(t)
	world := nstest.Observe(t, g.Handle)
	spec := dhcpSpec()
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	announced(a.Lease.Addr.Addr(), a.MAC.String())
	kept := new(pipework.Attacher).Kept(target, spec, a)[0]
	events := make(chan dhcp.Event, 100)
	kept.Event = func(ev dhcp.Event) { events <- ev }
	keeper := &dhcp.Keeper{}
	remove, err := keeper.Add(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = keeper.Run(ctx); close(ended) }()
	await(t, events, dhcp.Renewed)
	first.Stop()
	second := dhcptest.ISC(t, 6, 140, 150)
	moved := await(t, events, dhcp.Changed)
	if !netip.MustParsePrefix("10.77.0.128/25").Contains(moved.Lease.Addr.Addr()) {
		t.Errorf("moved to %v", moved.Lease.Addr)
	}
	announced(moved.Lease.Addr.Addr(), a.MAC.String())
	now, err := pipework.Check(t.Context(), target, spec)
	if err != nil || !slices.Equal(now.Addrs, []netip.Prefix{moved.Lease.Addr}) {
		t.Errorf("after the move: %+v, %v", now, err)
	}
	nstest.Ping(t, g.Handle, dhcptest.Router)
	second.Stop()
	await(t, events, dhcp.Lost)
	if now, err := pipework.Check(t.Context(), target, spec); err != nil || len(now.Addrs) > 0 {
		t.Errorf("after the end: %+v, %v", now, err)
	}
	remove()
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
	cancel()
	<-ended
	world.Unchanged(t)
}

// TestKeptLeaseChanges has a server say something else at each renewal, which the
// guest then is, with nothing left of what it was.
func TestKeptLeaseChanges(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	times := []string{"--dhcp-option=58,3s", "--dhcp-option=59,60s"}
	s := dhcptest.Dnsmasq(t, append(times, "--dhcp-option=option:mtu,1400", "--dhcp-option=option:dns-server,10.77.0.1",
		"--dhcp-option=121,10.200.0.0/16,10.77.0.254,0.0.0.0/0,10.77.0.1")...)
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	world := nstest.Observe(t, g.Handle)
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 1.1.1.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := dhcpSpec()
	spec.DHCP.ResolvConf = conf
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	kept := new(pipework.Attacher).Kept(target, spec, a)[0]
	events := make(chan dhcp.Event, 100)
	kept.Event = func(ev dhcp.Event) { events <- ev }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = dhcp.Keep(ctx, kept); close(ended) }()
	holds := func(gateway string, mtu int, dns, route, not string) {
		t.Helper()
		now, err := pipework.Check(t.Context(), target, spec)
		if err != nil || !slices.Equal(now.Gateways, []netip.Addr{netip.MustParseAddr(gateway)}) || now.MTU != mtu || len(now.Displaced) != 2 || len(now.Drifts) > 0 {
			t.Errorf("now %+v, %v; want %s and %d", now, err, gateway, mtu)
		}
		if text, _ := os.ReadFile(conf); !strings.Contains(string(text), "\nnameserver "+dns+"\n#pipework eth1 ends") {
			t.Errorf("resolv.conf:\n%s", text)
		}
		if routes := dhcptest.Routes(t, g); !slices.Contains(routes, route) || slices.Contains(routes, not) {
			t.Errorf("routes %q: want %s, and not %s", routes, route, not)
		}
	}
	holds("10.77.0.1", 1400, "10.77.0.1", "10.200.0.0/16", "10.201.0.0/16")
	s.Stop()
	s = dhcptest.Dnsmasq(t, append(times, "--dhcp-option=option:mtu,1450", "--dhcp-option=option:dns-server,10.77.0.2",
		"--dhcp-option=121,10.201.0.0/16,10.77.0.254,0.0.0.0/0,10.77.0.9")...)
	await(t, events, dhcp.Changed)
	holds("10.77.0.9", 1450, "10.77.0.2", "10.201.0.0/16", "10.200.0.0/16")
	s.Stop()
	s = dhcptest.Dnsmasq(t, append(times, "--dhcp-option=option:dns-server,10.77.0.3", "--dhcp-option=121,10.202.0.0/16,10.77.0.254,0.0.0.0/0,10.77.0.1")...)
	await(t, events, dhcp.Changed)
	holds("10.77.0.1", 1500, "10.77.0.3", "10.202.0.0/16", "10.201.0.0/16")
	cancel()
	<-ended
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
	s.Eventually(t, "the release", func(leases string) bool { return !strings.Contains(leases, "10.77.0.") })
	world.Unchanged(t)
}

// TestRebindsToAnotherServer kills the server that granted the lease: from T2 on
// another one is asked, keeps the address, and is the one that is renewed at next.
func TestRebindsToAnotherServer(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	times := []string{"--dhcp-option=58,3s", "--dhcp-option=59,5s"}
	first := dhcptest.Dnsmasq(t, times...)
	target, g := nstest.Guest(t)
	spec := dhcpSpec()
	a, err := pipework.Attach(t.Context(), target, spec)
	if err != nil {
		t.Fatal(err)
	}
	second := dhcptest.Second(t, times...)
	first.Stop()
	kept := new(pipework.Attacher).Kept(target, spec, a)[0]
	events := make(chan dhcp.Event, 100)
	kept.Event = func(ev dhcp.Event) { events <- ev }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = dhcp.Keep(ctx, kept); close(ended) }()
	moved := await(t, events, dhcp.Changed).Lease
	if moved.Addr != a.Lease.Addr || moved.Server.String() != "10.77.0.2" || bytes.Equal(moved.ServerMAC, a.Lease.ServerMAC) || len(moved.ServerMAC) != 6 {
		t.Errorf("lease %+v, was %+v", moved, a.Lease)
	}
	await(t, events, dhcp.Renewed)
	cancel()
	<-ended
	nstest.Ping(t, g.Handle, "10.77.0.2")
	if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
		t.Error(err)
	}
	second.Eventually(t, "the release", func(leases string) bool { return !strings.Contains(leases, "10.77.0.") })
}

// await waits for an event of this kind.
func await(t *testing.T, events <-chan dhcp.Event, kind dhcp.Kind) dhcp.Event {
	t.Helper()
	for end := time.After(testwait.Patience); ; {
		select {
		case ev := <-events:
			t.Logf("%s %s", ev.Kind, ev.Reason)
			if ev.Kind == kind {
				return ev
			}
		case <-end:
			t.Fatalf("no event %q", kind)
		}
	}
}
