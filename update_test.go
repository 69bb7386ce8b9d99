//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

func update(t *testing.T, target pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	at, err := pipework.Update(t.Context(), target, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestUpdateLeavesOthers changes all that pipework made, and nothing that somebody else
// did.
func TestUpdateLeavesOthers(t *testing.T) {
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	s := spec("eth1", "br1", "10.1.0.1/24", "10.1.0.254", "fd01::1/64", "fd01::fe")
	s.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.8.0.0/16"), Via: netip.MustParseAddr("10.1.0.9")}, {Dst: netip.MustParsePrefix("fd08::/64"), Table: 5}}
	s.Rules = []link.Rule{{Priority: 7, Table: 5}}
	attach(t, target, s)
	for _, words := range []string{
		"ip route add 10.9.0.0/16 via 10.1.0.9 dev eth1", "ip -6 route add fd09::/64 dev eth1", "ip rule add priority 8 lookup 5",
		"tc qdisc add dev eth1 root tbf rate 1mbit burst 10kb latency 50ms",
	} {
		ip(t, g, strings.Fields(words)...)
	}
	before := nstest.Observe(t, g.Handle)
	bare := spec("eth1", "br1", "10.1.0.1/24", "fd01::1/64")
	at := update(t, target, bare)
	if len(at.Mended) != 5 || len(at.Added) != 0 || len(at.Displaced) != 0 {
		t.Errorf("%+v", at)
	}
	if got := defaults(t, g); !slices.Equal(got, []string{"172.20.0.1", "172.20.0.9", "fd20::1"}) {
		t.Errorf("default routes %v", got)
	}
	for words, want := range map[string]string{
		"ip route show 10.8.0.0/16": "", "ip -6 route show table 5": "", "ip rule list priority 7": "",
		"ip route show 10.9.0.0/16": "10.9.0.0/16 via 10.1.0.9 dev eth1 \n", "ip rule list priority 8": "8:\tfrom all lookup 5\n",
	} {
		if got := ip(t, g, strings.Fields(words)...); got != want {
			t.Errorf("%s: %q", words, got)
		}
	}
	if got := ip(t, g, "tc", "qdisc", "show", "dev", "eth1"); !strings.Contains(got, "rate 1Mbit") {
		t.Errorf("qdisc %s", got)
	}
	update(t, target, s)
	before.Unchanged(t)
	s.Egress = &link.Shaping{Rate: 5e6}
	update(t, target, s)
	s.Egress.Rate = 6e6 // in place
	update(t, target, s)
	if got := ip(t, g, "tc", "qdisc", "show", "dev", "eth1"); !strings.Contains(got, "tbf 7074: root") || !strings.Contains(got, "rate 6Mbit") {
		t.Errorf("qdisc %s", got)
	}
	detach(t, target, pipework.Spec{})
}

// TestUpdateRefused says what cannot be changed, and changes nothing.
func TestUpdateRefused(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24")
	attach(t, target, s)
	ip(t, g, "ip", "link", "add", "eth2", "type", "veth", "peer", "name", "eth2p")
	world := nstest.Observe(t, g.Handle)
	for name, row := range map[string]struct {
		change func(*pipework.Spec)
		is     error
	}{
		"another bridge": {func(s *pipework.Spec) { s.Link = link.Bridge{Name: "br2"} }, fs.ErrInvalid},
		"no link":        {func(s *pipework.Spec) { s.Link = nil }, fs.ErrInvalid},
		"wrong address":  {func(s *pipework.Spec) { s.Addrs = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }, fs.ErrInvalid},
		"not pipework's": {func(s *pipework.Spec) { s.Name = "eth2" }, fs.ErrPermission},
		"no interface":   {func(s *pipework.Spec) { s.Name = "eth3" }, fs.ErrNotExist},
		"router far away": {func(s *pipework.Spec) {
			s.Addrs = []netip.Prefix{netip.MustParsePrefix("10.2.0.1/24")}
			s.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.0.0.0/8"), Via: netip.MustParseAddr("172.31.0.1")}}
		}, fs.ErrInvalid},
	} {
		other := s
		row.change(&other)
		if _, err := pipework.Update(t.Context(), target, other); !errors.Is(err, row.is) {
			t.Errorf("%s: %v", name, err)
		}
		world.Unchanged(t)
	}
	detach(t, target, s)
}

// TestUpdateRenamed changes an interface that somebody in the guest has renamed, which
// Update leaves so, and says.
func TestUpdateRenamed(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24")
	attach(t, target, s)
	ip(t, g, "ip", "link", "set", "eth1", "down")
	ip(t, g, "ip", "link", "set", "eth1", "name", "eth9")
	s.Addrs = append(s.Addrs, netip.MustParsePrefix("10.2.0.1/24"))
	at := update(t, target, s)
	if want := []string{"is called eth9 instead of eth1"}; !slices.Equal(at.Warnings, want) || len(at.Mended) != 2 || at.Name != "eth9" {
		t.Errorf("%+v", at)
	}
	detach(t, target, s)
}

// TestUpdateSubnet takes the first address of a subnet away, which the kernel lets no
// other one survive by default, and changes prefix lengths.
func TestUpdateSubnet(t *testing.T) {
	target, g := nstest.Guest(t)
	attach(t, target, spec("eth1", "br1", "10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24", "fd01::1/64", "10.1.0.254"))
	at := update(t, target, spec("eth1", "br1", "10.1.0.3/24", "10.1.0.2/16", "fd01::1/80", "10.1.0.254"))
	addrs := slices.SortedFunc(slices.Values(at.Addrs), netip.Prefix.Compare)
	if want := []netip.Prefix{netip.MustParsePrefix("10.1.0.2/16"), netip.MustParsePrefix("10.1.0.3/24"), netip.MustParsePrefix("fd01::1/80")}; !slices.Equal(addrs, want) {
		t.Errorf("addresses %v, want %v", addrs, want)
	}
	if got := defaults(t, g); !slices.Equal(got, []string{"10.1.0.254"}) {
		t.Errorf("default routes %v", got)
	}
	detach(t, target, pipework.Spec{})
}

// TestUpdateLosesNothing changes what there is to change while datagrams come and go by an
// address that stays.
func TestUpdateLosesNothing(t *testing.T) {
	target, g := nstest.Guest(t)
	peer, from := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24", "10.2.0.1/24", "10.1.0.254")
	attach(t, target, s)
	attach(t, peer, spec("eth1", "br1", "10.1.0.9/24"))
	echo := dialUDP(t, g, "10.1.0.1:7", "")
	go func() {
		b := make([]byte, 64)
		for {
			n, to, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(b[:n], to)
		}
	}()
	asks := dialUDP(t, from, "", "10.1.0.1:7")
	var sent, answered atomic.Int64
	go func() {
		for b := make([]byte, 64); ; answered.Add(1) {
			if _, err := asks.Read(b); err != nil {
				return
			}
		}
	}()
	done := make(chan struct{})
	stop, ended := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		for tick := time.NewTicker(200 * time.Microsecond); stop.Err() == nil; <-tick.C {
			if _, err := asks.Write([]byte("x")); err != nil {
				t.Error(err)
				return
			}
			sent.Add(1)
		}
	}()
	other := spec("eth1", "br1", "10.1.0.1/24", "10.1.0.3/24", "10.3.0.1/24", "10.1.0.253")
	other.MTU = 1400
	other.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.8.0.0/16"), Via: netip.MustParseAddr("10.1.0.9")}}
	other.Rules = []link.Rule{{Priority: 7, Table: 5}}
	s.MTU = 1500
	for range 10 {
		update(t, target, other)
		update(t, target, s)
	}
	ended()
	<-done
	for end := time.Now().Add(time.Second); answered.Load() < sent.Load() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if sent.Load() < 20 || answered.Load() != sent.Load() {
		t.Errorf("%d of %d datagrams were answered", answered.Load(), sent.Load())
	}
	detach(t, target, pipework.Spec{})
	detach(t, peer, pipework.Spec{})
}

// dialUDP opens a socket in the guest, which listens here or sends there.
func dialUDP(t *testing.T, g *ns.Guest, here, there string) (c *net.UDPConn) {
	t.Helper()
	err := g.Do(t.Context(), func() (err error) {
		if there != "" {
			c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(there)))
			return err
		}
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(here)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestUpdateVLAN puts a guest into another VLAN of the bridge, and into none.
func TestUpdateVLAN(t *testing.T) {
	needFiltering(t)
	on := true
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan"), VlanFiltering: &on})
	target, g := nstest.Guest(t)
	s := func(b link.Bridge) pipework.Spec {
		s := spec("eth1", "lan", "10.1.0.1/24")
		b.Name = "lan"
		s.Link, s.MAC = b, net.HardwareAddr{2, 0, 0, 0, 0, 1}
		return s
	}
	plain := s(link.Bridge{})
	attach(t, target, plain)
	before := nstest.Observe(t, g.Handle)
	for _, b := range []link.Bridge{{VLAN: 100}, {VLAN: 7, Trunks: []int{8}, Isolated: true}, {Hairpin: true}, {}} {
		update(t, target, s(b))
		if at, err := pipework.Check(t.Context(), target, s(b)); err != nil || len(at.Drifts) > 0 {
			t.Errorf("%+v: %+v, %v", b, at, err)
		}
	}
	before.Unchanged(t)
	if at := update(t, target, plain); len(at.Mended) > 0 {
		t.Errorf("mended %q", at.Mended)
	}
	detach(t, target, plain)
}

// TestUpdateLease gets a lease for an interface that is there, and gives it back.
func TestUpdateLease(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t, "--dhcp-option=121,0.0.0.0/0,10.77.0.1,10.200.0.0/16,10.77.0.254", "--dhcp-option=option:mtu,1400")
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	static := dhcpSpec()
	static.DHCP, static.Addrs = nil, []netip.Prefix{netip.MustParsePrefix("10.78.0.1/24")}
	attach(t, target, static)
	before := nstest.Observe(t, g.Handle)
	leased := static
	leased.DHCP = new(dhcp.Config)
	at := update(t, target, leased)
	if at.Lease == nil || len(at.Added) != 1 || at.Added[0] != at.Lease.Addr || at.MTU != 1400 || len(at.Gateways) != 1 || len(at.Displaced) != 2 {
		t.Errorf("%+v", at)
	}
	own := leased
	own.Gateways = []netip.Addr{netip.MustParseAddr("10.78.0.254")}
	if at := update(t, target, own); !slices.Equal(at.Gateways, own.Gateways) || at.Lease == nil {
		t.Errorf("a gateway beside the lease: %+v", at)
	}
	if at := update(t, target, leased); at.Gateways[0].String() != "10.77.0.1" {
		t.Errorf("the lease's gateway again: %+v", at)
	}
	update(t, target, static)
	before.Unchanged(t)
	server.Eventually(t, "the release", func(leases string) bool { return !strings.Contains(leases, " 10.77.0.") })
	detach(t, target, static)
}

// TestUpdateLeaseFaults makes it fail at every step to get a lease, and to give it back.
func TestUpdateLeaseFaults(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, "--dhcp-option=121,0.0.0.0/0,10.77.0.1,10.200.0.0/16,10.77.0.254", "--dhcp-option=option:mtu,1400")
	target, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	static, leased := dhcpSpec(), dhcpSpec()
	static.DHCP = nil
	attach(t, target, static)
	for _, way := range [][2]pipework.Spec{{static, leased}, {leased, static}} {
		update(t, target, way[0])
		before := nstest.Observe(t, g.Handle)
		contract.EveryStep(t, func(ctx context.Context) error {
			_, err := pipework.Update(ctx, target, way[1])
			if err == nil {
				update(t, target, way[0])
			}
			before.Unchanged(t)
			return err
		})
	}
	detach(t, target, static)
}
