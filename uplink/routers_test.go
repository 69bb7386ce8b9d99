//go:build linux

package uplink_test

import (
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
)

// An advertiser is a router that keeps advertising, ten times a second.
type advertiser struct {
	ra      atomic.Pointer[ndp.RouterAdvertisement]
	classes bool // one traffic class after the other
}

// advertisement is one of a prefix.
func advertisement(prefix string, lifetime, valid time.Duration) *ndp.RouterAdvertisement {
	return &ndp.RouterAdvertisement{RouterLifetime: lifetime, Options: []ndp.Option{&ndp.PrefixInformation{
		PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true,
		ValidLifetime: valid, PreferredLifetime: valid, Prefix: netip.MustParseAddr(prefix),
	}}}
}

// advertise has the guest advertise on its interface until the test ends, to all or to one.
func advertise(t *testing.T, g *ns.Guest, name string, ra *ndp.RouterAdvertisement, to ...netip.Addr) *advertiser {
	t.Helper()
	return (&advertiser{}).start(t, g, name, ra, to...)
}

func (a *advertiser) start(t *testing.T, g *ns.Guest, name string, ra *ndp.RouterAdvertisement, to ...netip.Addr) *advertiser {
	t.Helper()
	atRest(t, g)
	var conn *ndp.Conn
	err := g.Do(t.Context(), func() error {
		l, err := net.InterfaceByName(name)
		if err == nil {
			l.Name = strconv.Itoa(l.Index) // as a zone: package net remembers indexes of names, of whatever namespace
			conn, _, err = ndp.Listen(l, ndp.LinkLocal)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a.ra.Store(ra)
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-done
		_ = conn.Close()
	})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			var cm *ipv6.ControlMessage
			if a.classes {
				cm = &ipv6.ControlMessage{HopLimit: 255, TrafficClass: n % 64 << 2}
			}
			for _, dst := range append(to, netip.IPv6LinkLocalAllNodes())[:max(1, len(to))] {
				_ = conn.WriteTo(a.ra.Load(), cm, dst)
			}
			select {
			case <-stop:
				return
			case <-time.After(a.pause()):
			}
		}
	}()
	return a
}

// pause is short where there are many to be sent.
func (a *advertiser) pause() time.Duration {
	if a.classes {
		return 10 * time.Millisecond
	}
	return 100 * time.Millisecond
}

// TestAdvertised has an address and a default route of a router that keeps advertising survive, and
// the router still able to prolong, and to take back, what it advertised.
func TestAdvertised(t *testing.T) { sorts(t, testAdvertised) }

func testAdvertised(t *testing.T, as sort) {
	s := newScene(t)
	as.on(t, s)
	ip(t, s.host, "route del default via fd00::1")
	ip(t, s.router, "addr add 2001:db8:1::1/64 dev eth0 nodad")
	router := advertise(t, s.router, "eth0", advertisement("2001:db8:1::", 30*time.Minute, time.Hour))
	has := func(dev, pattern string) bool {
		text := show(t, s.host, "-6 addr show dev "+dev+" scope global") + show(t, s.host, "-6 route show dev "+dev)
		return regexp.MustCompile(pattern).MatchString(text)
	}
	eventually := func(dev, pattern string) {
		t.Helper()
		testwait.Eventually(t, dev+" has "+pattern, func() bool { return has(dev, pattern) })
	}
	const addr, defaultRoute = `inet6 2001:db8:1:\S+/64 scope global dynamic mngtmpaddr`, `default via fe80::\S+ proto ra .*expires`
	eventually("nic0", addr)
	eventually("nic0", defaultRoute)
	atRest(t, s.host)
	own := regexp.MustCompile(`2001:db8:1::?[0-9a-f:]+`).FindString(show(t, s.host, "-6 addr show dev nic0 scope global"))
	st := s.newStream(t, own)
	before := s.snapshot(t)
	for range 2 {
		m, err := uplink.Move(t.Context(), s.plan)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Warnings) > 0 {
			t.Error(m.Warnings)
		}
		if !has("br0", addr) || !has("br0", defaultRoute) || has("br0", "metric 1025") || has("nic0", "2001:db8:1:|proto ra") {
			t.Errorf("not moved:\n%s", s.snapshot(t))
		}
		st.flows(t)
		if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
			t.Fatal(err)
		}
		st.flows(t)
		s.unchanged(t, before)
	}
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	router.ra.Store(advertisement("2001:db8:1::", 0, 2*time.Hour))
	testwait.Eventually(t, "the router takes its default route back", func() bool { return !has("br0", defaultRoute) })
	testwait.Eventually(t, "the address lasts longer", func() bool {
		found := regexp.MustCompile(`2001:db8:1:.*\n\s*valid_lft (\d+)sec`).FindStringSubmatch(raw(t, s.host, "-6 addr show dev br0"))
		if found == nil {
			return false
		}
		seconds, _ := strconv.Atoi(found[1])
		return seconds > 3600
	})
	router.ra.Store(advertisement("2001:db8:1::", time.Hour, 2*time.Hour))
	eventually("br0", defaultRoute)

	// A guest advertises itself, in vain, whatever it writes into the header.
	_, guest := nstest.Guest(t)
	ip(t, guest, "link add eth1 type veth peer name port netns "+s.name, "link set eth1 up")
	s.join(t, "port")
	heard := received(t, s.router)
	(&advertiser{classes: true}).start(t, guest, "eth1", advertisement("2001:db8:bad::", time.Hour, time.Hour))
	testwait.Eventually(t, "the guest's advertisements come as far as the router", func() bool {
		return received(t, s.router) > heard+64
	})
	if text := s.snapshot(t); strings.Contains(text, "db8:bad") {
		t.Errorf("the host follows what a guest advertises:\n%s", text)
	}
	if m, err := uplink.Undo(t.Context(), s.plan); err != nil || len(m.Warnings) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if s.db != nil {
		if ports := s.db.Vsctl(t, "list-ports", "br0"); ports != "port\n" {
			t.Errorf("the guest's bridge has the ports %q", ports)
		}
		return
	}
	if text := show(t, s.host, "-d link show br0"); !strings.Contains(text, "alias pipework bridge") {
		t.Errorf("the guest's bridge is %s", text)
	}
}

// received is how many router advertisements the guest's kernel has seen.
func received(t *testing.T, g *ns.Guest) (n int) {
	found := regexp.MustCompile(`Icmp6InRouterAdvertisements\s+(\d+)`).FindStringSubmatch(run(t, g, exec.CommandContext(t.Context(), "cat", "/proc/thread-self/net/snmp6")))
	if found != nil {
		n, _ = strconv.Atoi(found[1])
	}
	return n
}
