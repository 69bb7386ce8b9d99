//go:build linux

package pipework_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A router is a guest that advertises itself on its eth1, which is the other end of another
// guest's eth0.
type router struct {
	*testing.T
	conn *ndp.Conn
	of   *ns.Guest

	preference ndp.Preference
}

func newRouter(t *testing.T, g *ns.Guest, target ns.Named) router {
	t.Helper()
	_, r := nstest.Guest(t)
	dhcptest.NoDAD(t, r)
	dhcptest.NoDAD(t, g)
	attach(t, target, pipework.Spec{Name: "eth0", Link: link.Veth{HostName: "wire"}})
	ip(t, g, "ip", "link", "set", "eth0", "alias", "") // nobody's of pipework any more
	h := handle(t, nil)
	l, err := h.LinkByName("wire")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetNsFd(l, int(r.NetNS())); err != nil {
		t.Fatal(err)
	}
	ip(t, r, "ip", "link", "set", "wire", "name", "eth1")
	ip(t, r, "ip", "link", "set", "eth1", "up", "alias", "")
	conn := routerSocket(t, r)
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.JoinGroup(netip.IPv6LinkLocalAllRouters()); err != nil {
		t.Fatal(err)
	}
	return router{t, conn, g, ndp.High}
}

// advertise sends an advertisement, until the kernel has made an address of its prefix.
func (r router) advertise(prefix string, lifetime time.Duration) {
	r.Helper()
	ra := &ndp.RouterAdvertisement{RouterLifetime: lifetime, RouterSelectionPreference: r.preference, Options: []ndp.Option{&ndp.PrefixInformation{
		PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true,
		ValidLifetime: time.Hour, PreferredLifetime: time.Hour, Prefix: netip.MustParseAddr(prefix),
	}}}
	testwait.Eventually(r, "an address of "+prefix, func() bool {
		if err := r.conn.WriteTo(ra, nil, netip.IPv6LinkLocalAllNodes()); err != nil {
			r.Fatal(err)
		}
		return strings.Contains(ip(r.T, r.of, "ip", "-6", "addr", "show", "dev", "eth0"), " "+strings.TrimSuffix(prefix, ":"))
	})
}

// defaults are the guest's IPv6 default routes.
func (r router) defaults() string { return ip(r.T, r.of, "ip", "-6", "route", "show", "default") }

// TestLearnedDefaultRoute has a gateway take the place of a default route that a router
// advertises, also with a higher preference, and goes on advertising. Detach has the kernel
// learn it again; nothing of a router that has died comes back.
func TestLearnedDefaultRoute(t *testing.T) {
	target, g := nstest.Guest(t)
	r := newRouter(t, g, target)
	setting := func() string {
		return strings.TrimSpace(ip(t, g, "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra_defrtr"))
	}
	r.advertise("fd01::", 31*time.Minute)
	before := seconds(r.defaults())
	if !strings.Contains(before, "proto ra") || !strings.Contains(before, "expires") {
		t.Fatalf("routes %q", before)
	}
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	for _, detached := range []func(){
		func() { detach(t, target, s) },
		func() { // the gateway first
			s := s
			s.Gateways = nil
			update(t, target, s)
			detach(t, target, s)
		},
	} {
		at := attach(t, target, s)
		if len(at.Displaced) != 1 {
			t.Errorf("displaced %q", at.Displaced)
		}
		r.advertise("fd02::", 31*time.Minute)
		r.advertise("fd03::", 31*time.Minute) // the second is dealt with after the first
		if got := r.defaults(); strings.Contains(got, "proto ra") || !strings.Contains(got, "via fd09::1 dev eth1") || setting() != "0" {
			t.Errorf("routes with a gateway: %s, accept_ra_defrtr %s", got, setting())
		}
		if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) > 0 {
			t.Errorf("check: %+v, %v", at, err)
		}
		detached()
		if setting() != "1" || strings.Contains(ip(t, g, "ip", "-6", "route", "show", "table", "all"), "table 21474") || strings.Contains(r.defaults(), "via") {
			t.Errorf("after detach: accept_ra_defrtr %s, routes %s", setting(), r.defaults())
		}
		if err := r.conn.SetReadDeadline(time.Now().Add(testwait.Patience)); err != nil {
			t.Fatal(err)
		}
		for asked := false; !asked; {
			m, _, _, err := r.conn.ReadFrom()
			if err != nil {
				t.Fatalf("the routers were not asked: %v", err)
			}
			_, asked = m.(*ndp.RouterSolicitation)
		}
		r.advertise("fd04::", 31*time.Minute)
		if got := seconds(r.defaults()); got != before {
			t.Errorf("the router's route is %q, was %q", got, before)
		}
	}
}

// TestLearnedBesideOthers has a gateway displace an advertised default route and another one
// of the same metric, of which the kernel makes no single route where they are kept.
func TestLearnedBesideOthers(t *testing.T) {
	target, g := nstest.Guest(t)
	r := newRouter(t, g, target)
	r.advertise("fd01::", 31*time.Minute)
	ip(t, g, "ip", "-6", "addr", "add", "fd05::2/64", "dev", "eth0", "nodad")
	ip(t, g, "ip", "-6", "route", "append", "default", "via", "fd05::1", "dev", "eth0", "metric", "1024")
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	if at := attach(t, target, s); len(at.Displaced) != 2 {
		t.Errorf("displaced %q", at.Displaced)
	}
	if got := r.defaults(); strings.Count(got, "via") != 1 || !strings.Contains(got, "via fd09::1 dev eth1") {
		t.Errorf("routes with a gateway: %s", got)
	}
	if at, err := pipework.Check(t.Context(), target, s); err != nil || len(at.Drifts) > 0 {
		t.Errorf("check: %+v, %v", at, err)
	}
	detach(t, target, s)
	if got := r.defaults(); strings.Count(got, "via") != 1 || !strings.Contains(got, "via fd05::1 dev eth0") {
		t.Errorf("routes afterwards: %s", got)
	}
	if all := ip(t, g, "ip", "-6", "route", "show", "table", "all"); strings.Contains(all, "table 21474") {
		t.Errorf("saved routes are left: %s", all)
	}
}

// TestTwoLearned keeps what two routers with one metric advertised: the kernel makes one route
// of the copies, which are told apart, and deleted one by one.
func TestTwoLearned(t *testing.T) {
	_, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	c, err := g.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ip(t, g, "ip", "-6", "route", "flush", "default")
	const table = 1<<31 + 77
	for _, gateway := range []string{"fd20::5", "fd20::6"} {
		route := []string{"default", "via", gateway, "dev", "eth0", "proto", "ra", "metric", "1024"}
		ip(t, g, append([]string{"ip", "-6", "route", "add"}, route...)...)
		learned, err := rtnl.Defaults(t.Context(), c, unix.AF_INET6, unix.RT_TABLE_MAIN)
		if err != nil || len(learned) != 1 {
			t.Fatalf("%v, %v", learned, err)
		}
		if _, err := learned[0].KeptLearned(table).Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		ip(t, g, append([]string{"ip", "-6", "route", "del"}, route...)...)
	}
	kept, err := rtnl.Defaults(t.Context(), c, unix.AF_INET6, table)
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	for i, r := range kept {
		if was := r.Original().String(); !r.IsKeptLearned() || !strings.HasPrefix(was, fmt.Sprintf("default via fd20::%d ", 5+i)) || r.Original().Metric != 1024 {
			t.Errorf("kept %s: %v", was, r.IsKeptLearned())
		}
		if err := r.Delete(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	if left := ip(t, g, "ip", "-6", "route", "show", "table", fmt.Sprint(table)); left != "" {
		t.Errorf("left: %s", left)
	}
}
