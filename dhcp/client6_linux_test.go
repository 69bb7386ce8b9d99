package dhcp

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// guest6 is a guest whose link-local address is there at once, and who hears no router.
func guest6(t testing.TB) (*Client, *ns.Guest) {
	t.Helper()
	_, g := nstest.Guest(t)
	dhcptest.NoDAD(t, g)
	dhcptest.Sysctl(t, g, "default/accept_ra", "0")
	eth1 := dhcptest.Plug(t, g)
	c := &Client{Guest: g.Handle, Name: "eth1", Index: eth1.Attrs().Index, MAC: eth1.Attrs().HardwareAddr}
	c.Family = IPv6
	return c, g
}

func TestLifeOfALease6(t *testing.T) {
	for name, server := range map[string]func(testing.TB) *dhcptest.Server{
		"dnsmasq": func(t testing.TB) *dhcptest.Server {
			return dhcptest.Dnsmasq(t, append(dhcptest.Range6, "--dhcp-option=option6:dns-server,[fd77::1]", "--dhcp-option=option6:domain-search,ln.test")...)
		},
		"kea": func(t testing.TB) *dhcptest.Server { return dhcptest.Kea6(t, 120, "fd77::600-fd77::6ff") },
	} {
		for _, rapid := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " rapid"}[rapid], func(t *testing.T) {
				dhcptest.Need(t, map[string]string{"dnsmasq": "dnsmasq", "kea": "kea-dhcp6"}[name])
				dhcptest.Network(t)
				s := server(t)
				c, _ := guest6(t)
				c.Hostname, c.RapidCommit = "web", rapid
				world := nstest.Observe(t, c.Guest)
				l := acquire(t, c, nil)
				if len(l.Addrs) != 1 || l.Addr != netip.PrefixFrom(l.Addrs[0].Addr, 128) || !netip.MustParsePrefix("fd77::/64").Contains(l.Addr.Addr()) || !l.Server.IsLinkLocalUnicast() {
					t.Errorf("lease: %+v", l)
				}
				now := time.Now()
				if !l.Renew.After(now) || !l.Rebind.After(l.Renew) || l.Expires.Before(l.Rebind) || l.Expires.Sub(now) > 121*time.Second || l.Addrs[0].Preferred.After(l.Expires) {
					t.Errorf("times: %v, %v, %v", l.Renew, l.Rebind, l.Expires)
				}
				if !slices.Equal(l.DNS, []netip.Addr{netip.MustParseAddr("fd77::1")}) || !slices.Equal(l.Search, []string{"ln.test"}) {
					t.Errorf("options: %+v", l)
				}
				if again := acquire(t, c, l); again.Addr != l.Addr {
					t.Errorf("again: %v, had %v", again.Addr, l.Addr)
				}
				for what, extend := range map[string]func(context.Context, *Lease) (*Lease, error){"renew": c.Renew, "rebind": c.Rebind} {
					if next, err := extend(t.Context(), l); err != nil || next.Addr != l.Addr || next.Expires.Before(l.Expires) {
						t.Errorf("%s: %v, %v", what, next, err)
					}
				}
				addr := l.Addr.Addr().String()
				s.Eventually(t, "the lease", func(leases string) bool {
					return strings.Contains(leases, addr) && strings.Contains(leases, "web") && !released6(name, leases, addr)
				})
				// What is written on an interface is enough to give the lease back.
				if err := c.Release(t.Context(), &Lease{Addr: l.Addr}); err != nil {
					t.Error(err)
				}
				s.Eventually(t, "the release", func(leases string) bool { return released6(name, leases, addr) })
				world.Unchanged(t)
			})
		}
	}
}

// released6 says whether a lease file shows that the address is free again.
func released6(server, leases, addr string) bool {
	if server != "kea" {
		return !strings.Contains(leases, addr)
	}
	last := leases[max(0, strings.LastIndex(leases, "\n"+addr+","))+1:]
	return strings.Split(last, ",")[2] == "0" // a lease time of 0 ends it
}

func TestIdentity6(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t, dhcptest.Range6...)
	c, _ := guest6(t)
	first := acquire(t, c, nil)
	c.IAID = 7
	if second := acquire(t, c, nil); second.Addr == first.Addr {
		t.Errorf("two interfaces of one client have %v", first.Addr)
	}
	c.DUID, c.IAID = []byte("\x00\x02\x00\x00\x00\x09web"), 0
	third := acquire(t, c, nil)
	other, _ := guest6(t) // made anew, with another MAC
	other.DUID = c.DUID
	if again := acquire(t, other, nil); again.Addr != third.Addr {
		t.Errorf("the client with the same DUID has %v instead of %v", again.Addr, third.Addr)
	}
	other.Requested = netip.MustParseAddr("fd77::123")
	other.IAID = 9
	if l := acquire(t, other, nil); l.Addr.Addr() != other.Requested {
		t.Errorf("asked for %v, got %v", other.Requested, l.Addr)
	}
	s.Eventually(t, "the DUID", func(leases string) bool { return strings.Contains(leases, "00:02:00:00:00:09:77:65:62") })
}

func TestNobodyAnswers6(t *testing.T) {
	dhcptest.Network(t)
	c, g := guest6(t)
	c.Timeout, c.Tries = 20*time.Millisecond, 3
	world := nstest.Observe(t, c.Guest)
	_, err := c.Acquire(t.Context(), nil)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "no DHCPv6 server answered a SOLICIT on eth1 within ") {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(err.Error(), " within ")
	text, _, _ = strings.Cut(text, ":")
	if took, err := time.ParseDuration(text); err != nil || took < 140*time.Millisecond { // 20 + 40 + 80
		t.Errorf("within %q, %v", text, err)
	}
	c.Tries = 20
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Acquire(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	dhcptest.Sysctl(t, g, "eth1/disable_ipv6", "1") // no link-local address
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Acquire(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	world.Unchanged(t)
}

func TestNoAddressLeft6(t *testing.T) {
	for name, server := range map[string]func(testing.TB) *dhcptest.Server{
		"dnsmasq":   func(t testing.TB) *dhcptest.Server { return dhcptest.Dnsmasq(t, "--dhcp-range=fd77::,static,64,2m") }, // for nobody
		"kea-dhcp6": func(t testing.TB) *dhcptest.Server { return dhcptest.Kea6(t, 120, "fd77::600-fd77::600") },
	} {
		t.Run(name, func(t *testing.T) {
			dhcptest.Need(t, name)
			dhcptest.Network(t)
			server(t)
			if name == "kea-dhcp6" {
				first, _ := guest6(t)
				acquire(t, first, nil)
			}
			c, _ := guest6(t)
			start := time.Now()
			if l, err := c.Acquire(t.Context(), nil); !errors.Is(err, ErrNoAddrs) || !strings.Contains(err.Error(), "NoAddrsAvail") {
				t.Errorf("%v, %v", l, err)
			}
			if took := time.Since(start); took > testwait.Patience {
				t.Errorf("it took %v to hear that there is none", took)
			}
		})
	}
}

// TestDeclined6 finds the address taken, as the kernel would, and says so.
func TestDeclined6(t *testing.T) {
	for name, server := range map[string]func(testing.TB) *dhcptest.Server{
		"dnsmasq": func(t testing.TB) *dhcptest.Server { return dhcptest.Dnsmasq(t, dhcptest.Range6...) },
		"kea":     func(t testing.TB) *dhcptest.Server { return dhcptest.Kea6(t, 120, "fd77::600-fd77::6ff") },
	} {
		t.Run(name, func(t *testing.T) {
			dhcptest.Need(t, map[string]string{"dnsmasq": "dnsmasq", "kea": "kea-dhcp6"}[name])
			dhcptest.Network(t)
			s := server(t)
			c, _ := guest6(t)
			l := acquire(t, c, nil)
			if err := c.Decline(t.Context(), l); err != nil {
				t.Error(err)
			}
			s.Wait(t, map[string]string{"dnsmasq": "DHCPDECLINE(lan)", "kea": "DHCP6_DECLINE_LEASE"}[name])
			if next := acquire(t, c, nil); next.Addr == l.Addr {
				t.Errorf("%v again", next.Addr)
			}
			if err := c.Decline(t.Context(), &Lease{Addr: netip.MustParsePrefix("10.0.0.1/24")}); !errors.Is(err, errors.ErrUnsupported) {
				t.Error(err)
			}
		})
	}
}

// TestBothAtOnce6 asks a Client and a Keeper for two leases in one.
func TestBothAtOnce6(t *testing.T) {
	dhcptest.Network(t)
	c, g := guest6(t)
	c.Family = Both
	if _, err := c.Acquire(t.Context(), nil); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("acquire: %v", err)
	}
	for name, kept := range map[string]Kept{
		"both families":      {Config: Config{Family: Both}},
		"another's lease":    {Config: Config{Family: IPv6}, Lease: &Lease{Addr: netip.MustParsePrefix("10.0.0.1/24")}},
		"IPv6 by no account": {Lease: &Lease{Addr: netip.MustParsePrefix("fd77::1/128")}},
	} {
		kept.Target, kept.Interface = ns.Named(g.Name), "eth1"
		if _, err := new(Keeper).Add(t.Context(), kept); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestServerForgot6 renews with a server that has lost its leases, and rebinds
// with another one.
func TestServerForgot6(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp6")
	dhcptest.Network(t)
	s := dhcptest.Kea6(t, 120, "fd77::600-fd77::6ff")
	c, _ := guest6(t)
	l := acquire(t, c, nil)
	s.Stop()
	second := dhcptest.Kea6(t, 120, "fd77::600-fd77::6ff") // another DUID
	c.Timeout, c.Tries = 50*time.Millisecond, 3
	if _, err := c.Renew(t.Context(), l); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("renewed with another server: %v", err)
	}
	c.Timeout, c.Tries = 0, 0 // now somebody answers
	next, err := c.Rebind(t.Context(), l)
	if err != nil || next.Addr != l.Addr || slices.Equal(next.ServerID, l.ServerID) {
		t.Fatalf("rebound %+v, %v", next, err)
	}
	second.Stop()
	dhcptest.Kea6(t, 120, "fd77::900-fd77::9ff") // the old address is not in its pool
	moved, err := c.Acquire(t.Context(), next)
	if err != nil || moved.Addr == next.Addr {
		t.Fatalf("moved to %+v, %v", moved, err)
	}
}

func TestSLAAC(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	c, g := guest6(t)
	dhcptest.Sysctl(t, g, "eth1/accept_ra", "1")
	world := nstest.Observe(t, c.Guest)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := AwaitSLAAC(ctx, g.Handle, c.Index); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a router: %v, %v", got, err)
	}
	world.Unchanged(t)
	dhcptest.AddAddr(t, g, netip.MustParsePrefix("fd88::5/64")) // is none
	dhcptest.Dnsmasq(t, dhcptest.SLAAC...)
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := AwaitSLAAC(ctx, g.Handle, c.Index)
	if err != nil || len(got) != 1 || got[0].Masked() != netip.MustParsePrefix("fd77::/64") {
		t.Fatalf("%v, %v", got, err)
	}
	if preferred, valid, ok := dhcptest.Lifetimes(t, g, got[0].Addr()); !ok || valid < 60 || preferred > valid {
		t.Errorf("the kernel has it for %d, %d seconds", preferred, valid)
	}
}
