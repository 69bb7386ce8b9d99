package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// guest is a throwaway guest with an interface on the network.
func guest(t testing.TB) (*Client, *ns.Guest) {
	t.Helper()
	_, g := nstest.Guest(t)
	eth1 := dhcptest.Plug(t, g)
	return &Client{Guest: g.Handle, Name: "eth1", Index: eth1.Attrs().Index, MAC: eth1.Attrs().HardwareAddr}, g
}

func acquire(t testing.TB, c *Client, last *Lease) *Lease {
	t.Helper()
	l, err := c.Acquire(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLifeOfALease(t *testing.T) {
	for name, server := range map[string]func(testing.TB) *dhcptest.Server{
		"dnsmasq": func(t testing.TB) *dhcptest.Server {
			return dhcptest.Dnsmasq(t, "--dhcp-option=option:router,10.77.0.1", "--dhcp-option=option:dns-server,10.77.0.1", "--dhcp-option=option:mtu,1400",
				"--dhcp-option=121,10.200.0.0/16,10.77.0.254,0.0.0.0/0,10.77.0.1", "--dhcp-option=option:domain-search,ln.test", "--dhcp-option=58,3s", "--dhcp-option=59,6s")
		},
		"kea": func(t testing.TB) *dhcptest.Server { return dhcptest.Kea(t, 120) },
		"isc": func(t testing.TB) *dhcptest.Server { return dhcptest.ISC(t, 120, 120, 130) },
	} {
		t.Run(name, func(t *testing.T) {
			dhcptest.Need(t, map[string]string{"dnsmasq": "dnsmasq", "kea": "kea-dhcp4", "isc": "dhcpd"}[name])
			dhcptest.Network(t)
			s := server(t)
			c, g := guest(t)
			c.Hostname = "web"
			l := acquire(t, c, nil)
			if l.Server != netip.MustParseAddr(dhcptest.Router) || l.Addr.Bits() != 24 || !netip.MustParsePrefix("10.77.0.0/24").Contains(l.Addr.Addr()) {
				t.Errorf("lease: %+v", l)
			}
			if !slices.Contains(l.Routes, Route{netip.MustParsePrefix("10.200.0.0/16"), netip.MustParseAddr("10.77.0.254")}) || len(l.Routers) > 0 {
				t.Errorf("routes %v, routers %v: option 121 must override 3", l.Routes, l.Routers)
			}
			if now := time.Now(); !l.Renew.After(now) || !l.Rebind.After(l.Renew) || !l.Expires.After(l.Rebind) || l.Expires.Sub(now) > 121*time.Second {
				t.Errorf("times: %v, %v, %v", l.Renew, l.Rebind, l.Expires)
			}
			if name == "dnsmasq" && (l.MTU != 1400 || l.Gateway() != netip.MustParseAddr("10.77.0.1") || !slices.Equal(l.Search, []string{"ln.test"}) || len(l.DNS) != 1) {
				t.Errorf("options: %+v", l)
			}
			if again := acquire(t, c, l); again.Addr != l.Addr {
				t.Errorf("reboot: %v, had %v", again.Addr, l.Addr)
			}
			dhcptest.AddAddr(t, g, l.Addr)
			for what, extend := range map[string]func(context.Context, *Lease) (*Lease, error){"renew": c.Renew, "rebind": c.Rebind} {
				if next, err := extend(t.Context(), l); err != nil || next.Addr != l.Addr || next.Expires.Before(l.Expires) || next.ServerMAC.String() != dhcptest.RouterMAC {
					t.Errorf("%s: %v, %v", what, next, err)
				}
			}
			if neighbours := dhcptest.Neighbours(t, g); name == "kea" && len(neighbours) > 0 { // others ask for the guest's MAC
				t.Errorf("extending the lease made neighbours: %v", neighbours)
			}
			if err := c.Release(t.Context(), l); err != nil {
				t.Error(err)
			}
			s.Eventually(t, "the release", func(leases string) bool { return released(name, leases, l.Addr.Addr().String()) })
		})
	}
}

// released says whether a lease file shows that the address is free again.
func released(server, leases, addr string) bool {
	switch server {
	case "kea": // a lease time of 0 ends it
		var last string
		for line := range strings.Lines(leases) {
			if strings.HasPrefix(line, addr+",") {
				last = line
			}
		}
		f := strings.Split(last, ",")
		return len(f) > 4 && f[3] == "0"
	case "isc":
		i := strings.LastIndex(leases, "lease "+addr+" ")
		return i >= 0 && strings.Contains(leases[i:], "binding state free")
	}
	return !strings.Contains(leases, addr)
}

// TestFilter lets the kernel pass what payload takes, and nothing else.
func TestFilter(t *testing.T) {
	vm, err := bpf.NewVM(dhcpOnly)
	if err != nil {
		t.Fatal(err)
	}
	options := slices.Insert(back([]byte("offer")), ipHeader, 1, 1, 1, 0)
	options[0] = 0x46
	for name, test := range map[string]struct {
		packet []byte
		passes bool
	}{
		"answer":       {back([]byte("offer")), true},
		"IP options":   {options, true},
		"question":     {datagram(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.5"), []byte("discover")), false},
		"TCP":          {spoiled(9, 6), false},
		"fragment":     {spoiled(7, 9), false},
		"another port": {spoiled(23, 69), false},
		"short":        {back(nil)[:22], false},
	} {
		if n, err := vm.Run(test.packet); err != nil || (n > 0) != test.passes {
			t.Errorf("%s: %d bytes pass, %v", name, n, err)
		}
	}
}

// spoiled is an answer with one byte changed.
func spoiled(i int, to byte) []byte {
	b := back([]byte("offer"))
	b[i] = to
	return b
}

// TestServerMoves renews at a server whose address another MAC has taken over, and
// a lease that is read back, which does not tell the MAC.
func TestServerMoves(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t)
	c, g := guest(t)
	c.Timeout, c.Tries = time.Second, 2 // which the first renewal waits in vain
	l := acquire(t, c, nil)
	dhcptest.AddAddr(t, g, l.Addr)
	const moved = "02:00:00:00:77:02"
	dhcptest.SetMAC(t, moved)
	next, err := c.Renew(t.Context(), l)
	if err != nil || next.ServerMAC.String() != moved {
		t.Errorf("renew: %+v, %v", next, err)
	}
	l.ServerMAC = nil
	if next, err := c.Renew(t.Context(), l); err != nil || next.ServerMAC.String() != moved {
		t.Errorf("renew without a MAC: %+v, %v", next, err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	dhcptest.Network(t)
	c, _ := guest(t)
	c.Timeout, c.Tries = 20*time.Millisecond, 3
	world := nstest.Observe(t, c.Guest)
	if _, err := c.Acquire(t.Context(), nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	c.Tries = 20
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Acquire(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	world.Unchanged(t)
}

func TestRefused(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t)
	c, g := guest(t)
	l := acquire(t, c, nil)
	dhcptest.AddAddr(t, g, l.Addr)
	s.Stop()
	dhcptest.Dnsmasq(t, "--dhcp-host="+c.MAC.String()+",10.77.0.59")
	if _, err := c.Renew(t.Context(), l); !errors.Is(err, ErrNAK) {
		t.Errorf("renew what the server moved: %v", err)
	}
	if l := acquire(t, c, l); l.Addr.String() != "10.77.0.59/24" {
		t.Errorf("moved to %v", l.Addr)
	}
}

// TestDeclined listens for others before it takes an address.
func TestDeclined(t *testing.T) { declined(t, nil) }

// TestDeclinedReboot does not take an address up again that somebody else has by now.
func TestDeclinedReboot(t *testing.T) {
	declined(t, &Lease{Addr: netip.MustParsePrefix("10.77.0.50/24")})
}

// TestClaim hears another user of the address that it does not wait for.
func TestClaim(t *testing.T) {
	dhcptest.Network(t)
	squatter, g := guest(t)
	dhcptest.AddAddr(t, g, netip.MustParsePrefix("10.77.0.50/24"))
	c, _ := guest(t)
	p, err := c.claim(t.Context(), netip.MustParseAddr("10.77.0.50"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	testwait.Eventually(t, "the answer", func() bool {
		if err := p.send(t.Context()); err != nil { // the first is lost where a port is not up yet
			t.Fatal(err)
		}
		other, err := p.conflict(t.Context())
		return err == nil && other.String() == squatter.MAC.String()
	})
}

// TestClaimOfAnotherVLAN has somebody in another VLAN have the address, which is no matter, and
// then somebody here.
func TestClaimOfAnotherVLAN(t *testing.T) {
	dhcptest.Network(t)
	_, g := guest(t)
	c, _ := guest(t)
	p, err := c.claim(t.Context(), netip.MustParseAddr("10.77.0.50"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	here := net.HardwareAddr{2, 0, 0, 0, 0, 0x11}
	var other net.HardwareAddr
	testwait.Eventually(t, "the second", func() bool { // the first ones are lost where a port is not up yet
		nstest.SendARP(t, g, net.HardwareAddr{2, 0, 0, 0, 0, 0x10}, p.addr, 10)
		nstest.SendARP(t, g, here, p.addr, 0)
		other, err = p.conflict(t.Context())
		return err != nil || other != nil
	})
	if err != nil || other.String() != here.String() {
		t.Errorf("%v has it, want %v; %v", other, here, err)
	}
}

func declined(t *testing.T, last *Lease) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t)
	_, squatter := guest(t)
	dhcptest.AddAddr(t, squatter, netip.MustParsePrefix("10.77.0.50/24"))
	c, _ := guest(t)
	c.Probe = 3 * time.Second // longer than a busy machine stalls
	begun := time.Now()
	if l := acquire(t, c, last); l.Addr.String() != "10.77.0.51/24" {
		t.Errorf("got %v", l.Addr)
	}
	if took := time.Since(begun); took < DeclineWait {
		t.Errorf("another address %v after the one that was in use", took)
	}
	s.Wait(t, "DHCPDECLINE(lan) 10.77.0.50")
}

// TestFullMessage has a server send more than the options have room for, so that it puts
// some into the fields of server name and file.
func TestFullMessage(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	var more []string
	c := Config{Parameters: []uint8{optionOverload}}
	for i, size := range []int{50, 100, 200, 200, 200, 200, 200} { // the last goes in first
		code := uint8(223 + i)
		c.Parameters = append(c.Parameters, code)
		more = append(more, fmt.Sprintf("--dhcp-option-force=%d,%s", code, strings.Repeat("x", size)))
	}
	dhcptest.Dnsmasq(t, append(more, "--dhcp-option=option:router,10.77.0.1", "--dhcp-option=option:mtu,1400", "--dhcp-option=option:dns-server,10.77.0.9",
		"--dhcp-option=33,192.168.7.0,10.77.0.254", "--dhcp-option=249,10:0a:c8:0a:4d:00:fe")...)
	client, _ := guest(t)
	client.Config = c
	l := acquire(t, client, nil)
	if len(l.Options) != 8 || len(l.Options[223]) != 50 || len(l.Options[224]) != 100 || len(l.Options[optionOverload]) != 1 || l.MTU != 1400 || len(l.DNS) != 1 || fmt.Sprint(l.Routes) != "[{10.200.0.0/16 10.77.0.254}]" || len(l.Routers) > 0 {
		t.Errorf("%d options, %v; MTU %d, DNS %v, routes %v, routers %v", len(l.Options), l.Options[optionOverload], l.MTU, l.DNS, l.Routes, l.Routers)
	}
}
