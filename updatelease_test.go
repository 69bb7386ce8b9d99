//go:build linux

package pipework_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestUpdateLeaseToStatic changes an interface that has all from a server to one that has
// it from its Spec, and back: each time it is as Attach would have made it.
func TestUpdateLeaseToStatic(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, "--dhcp-option=121,0.0.0.0/0,10.77.0.1,10.200.0.0/16,10.77.0.254,10.201.0.0/16,10.77.0.253,10.98.0.1/32,0.0.0.0")
	route := func(dst, via string) link.Route {
		return link.Route{Dst: netip.MustParsePrefix(dst), Via: netip.MustParseAddr(via)}
	}
	for name, change := range map[string]func(*pipework.Spec){
		"no gateway":          func(*pipework.Spec) {},
		"the same gateway":    func(s *pipework.Spec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.77.0.1")} },
		"another gateway":     func(s *pipework.Spec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.77.0.254")} },
		"a gateway elsewhere": func(s *pipework.Spec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.99.0.1")} },
		"a leased hop":        func(s *pipework.Spec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.98.0.1")} },
		"the same route":      func(s *pipework.Spec) { s.Routes = []link.Route{route("10.200.0.0/16", "10.77.0.254")} },
		"another route":       func(s *pipework.Spec) { s.Routes = []link.Route{route("10.200.0.0/16", "10.77.0.253")} },
		"both": func(s *pipework.Spec) {
			s.Gateways = []netip.Addr{netip.MustParseAddr("10.77.0.1")}
			s.Routes = []link.Route{route("10.200.0.0/16", "10.77.0.254"), route("10.201.0.0/16", "10.77.0.252")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			target, g := nstest.Guest(t)
			nstest.Uplink(t, g)
			leased, static := dhcpSpec(), dhcpSpec()
			static.DHCP, static.Addrs = nil, []netip.Prefix{netip.MustParsePrefix("10.77.0.5/24")}
			change(&static)
			attach(t, target, static)
			want := nstest.Observe(t, g.Handle)
			detach(t, target, static)
			attach(t, target, leased)
			update(t, target, static)
			want.Alike(t)
			if at := update(t, target, static); len(at.Mended) > 0 {
				t.Errorf("again, it changed %q", at.Mended)
			}
			kept := static
			kept.DHCP = new(dhcp.Config)
			for range 2 { // the server's routes and the Spec's, side by side
				if at := update(t, target, kept); at.Lease == nil {
					t.Errorf("%+v", at)
				}
			}
			if at, err := pipework.Check(t.Context(), target, kept); err != nil || len(at.Drifts) > 0 {
				t.Errorf("%+v, %v", at, err)
			}
			update(t, target, static)
			want.Alike(t)
			detach(t, target, static)
		})
	}
}

// TestMendedMACIsUsed has the guest change its MAC: mended, the interface asks the server
// and tells its neighbours with the one that it has then.
func TestMendedMACIsUsed(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t)
	target, g := nstest.Guest(t)
	s := dhcpSpec()
	at := attach(t, target, s)
	for name, again := range map[string]func() (*pipework.Attachment, error){
		"attach": func() (*pipework.Attachment, error) { return pipework.Attach(t.Context(), target, s) },
		"update": func() (*pipework.Attachment, error) { return pipework.Update(t.Context(), target, s) },
	} {
		t.Run(name, func(t *testing.T) {
			ip(t, g, "ip", "link", "set", "eth1", "address", "02:00:00:00:00:99")
			announced := dhcptest.Listen(t)
			again, err := again()
			if err != nil || again.Lease.Addr != at.Lease.Addr {
				t.Fatalf("%+v, %v", again, err)
			}
			announced(at.Lease.Addr.Addr(), s.MAC.String())
			if leases := server.Leases(t); strings.Contains(leases, "02:00:00:00:00:99") {
				t.Errorf("leases:\n%s", leases)
			}
		})
	}
	detach(t, target, s)
}

// TestLeaseMovesFaults has other servers than those that gave the leases, whose networks
// have other addresses, and makes every step fail of what finds that out: then the guest
// has the leased addresses that it had.
func TestLeaseMovesFaults(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Need(t, "kea-dhcp6")
	servers := func(t *testing.T, n int) (stop func()) {
		first, last, mtu := fmt.Sprint(20+8*n), fmt.Sprint(25+8*n), fmt.Sprint(1400+n)
		v4 := dhcptest.Dnsmasq(t, "--dhcp-range=10.77.0."+first+",10.77.0."+last+",255.255.255.0,120",
			"--dhcp-option=121,0.0.0.0/0,10.77.0.1,10."+fmt.Sprint(200+n)+".0.0/16,10.77.0.254", "--dhcp-option=option:mtu,"+mtu)
		v6 := dhcptest.Kea6(t, 120, "fd77::"+first+"-fd77::"+last)
		return func() { v4.Stop(); v6.Stop() }
	}
	for name, call := range map[string]func(context.Context, pipework.Target, pipework.Spec) (*pipework.Attachment, error){
		"attach":   pipework.Attach,
		"the same": pipework.Update,
		"update": func(ctx context.Context, target pipework.Target, s pipework.Spec) (*pipework.Attachment, error) {
			s.Addrs = append(slices.Clone(s.Addrs), netip.MustParsePrefix("10.78.0.1/24"))
			return pipework.Update(ctx, target, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dhcptest.Network(t)
			n := 1
			stop := servers(t, n)
			target, g := nstest.Guest(t)
			nstest.Uplink(t, g)
			dhcptest.NoDAD(t, g)
			s := dhcpSpec()
			s.DHCP.Family, s.Addrs = dhcp.Both, []netip.Prefix{netip.MustParsePrefix("10.77.0.5/24"), netip.MustParsePrefix("fd77::5/64")}
			s.Gateways = []netip.Addr{netip.MustParseAddr("fd77::1")}
			at := attach(t, target, s)
			var before *nstest.World
			move := func() {
				stop()
				n++
				stop = servers(t, n)
				before = nstest.Observe(t, g.Handle)
			}
			move()
			contract.EveryStep(t, func(ctx context.Context) error {
				now, err := call(ctx, target, s)
				if err != nil {
					before.Unchanged(t)
					return err
				}
				if now.Lease.Addr == at.Lease.Addr || now.Lease6.Addr == at.Lease6.Addr || !slices.Contains(now.Addrs, now.Lease.Addr) || !slices.Contains(now.Addrs, s.Addrs[0]) {
					t.Errorf("%+v", now)
				}
				at = update(t, target, s)
				move()
				return nil
			})
			detach(t, target, s)
		})
	}
}

// TestKeptChangeFaults makes every step fail of a lease's change to another address.
func TestKeptChangeFaults(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, "--dhcp-option=121,0.0.0.0/0,10.77.0.1,10.200.0.0/16,10.77.0.254")
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	s := dhcpSpec()
	at := attach(t, target, s)
	kept := new(pipework.Attacher).Kept(target, s, at)[0]
	next := *at.Lease
	next.Addr, next.Routes = netip.MustParsePrefix("10.77.0.99/24"), nil
	before := nstest.Observe(t, g.Handle)
	contract.EveryStep(t, func(ctx context.Context) error {
		err := kept.Apply(ctx, g, at.Lease, &next)
		if err == nil {
			if now, err := pipework.Check(t.Context(), target, s); err != nil || !slices.Equal(now.Addrs, []netip.Prefix{next.Addr}) {
				t.Errorf("%+v, %v", now, err)
			}
			err = kept.Apply(t.Context(), g, &next, at.Lease)
		}
		before.Unchanged(t)
		return err
	})
	detach(t, target, s)
}

// TestUpdateDropsDNS drops one of two leases, whose name servers go with it.
func TestUpdateDropsDNS(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, append(dhcptest.Range6, "--dhcp-option=option6:dns-server,[fd77::1]", "--dhcp-option=option:dns-server,10.77.0.1")...)
	target, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	must(t, os.WriteFile(conf, []byte("nameserver 1.1.1.1\n"), 0o644))
	s := dhcpSpec()
	s.DHCP.ResolvConf, s.DHCP.Family = conf, dhcp.Both
	attach(t, target, s)
	for _, step := range []struct {
		family dhcp.Family
		want   []string
	}{
		{dhcp.IPv6, []string{"fd77::1"}}, {dhcp.Both, []string{"fd77::1", "10.77.0.1"}}, {dhcp.IPv4, []string{"10.77.0.1"}},
	} {
		config := *s.DHCP
		config.Family = step.family
		next := s
		next.DHCP = &config
		for range 2 {
			update(t, target, next)
			text, err := os.ReadFile(conf)
			must(t, err)
			var servers []string
			for line := range strings.Lines(string(text)) {
				if server, is := strings.CutPrefix(line, "nameserver "); is {
					servers = append(servers, strings.TrimSpace(server))
				}
			}
			if !slices.Equal(servers, step.want) {
				t.Errorf("%v: %q, want %q, in\n%s", step.family, servers, step.want, text)
			}
		}
	}
	detach(t, target, s)
}
