//go:build linux

package pipework_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// advertise has the guest call itself a router for the prefix, on its eth1, again
// and again until a witness on the same bridge, or the host for nil, has an address
// from it. The witness follows router advertisements, as every new interface does.
func advertise(t *testing.T, from, witness *ns.Guest, prefix string) {
	t.Helper()
	conn := routerSocket(t, from)
	defer func() { _ = conn.Close() }()
	ra := &ndp.RouterAdvertisement{RouterLifetime: 30 * time.Minute, Options: []ndp.Option{&ndp.PrefixInformation{
		PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true,
		ValidLifetime: time.Hour, PreferredLifetime: time.Hour, Prefix: netip.MustParseAddr(prefix),
	}}}
	testwait.Eventually(t, "an address of "+prefix, func() bool {
		if err := conn.WriteTo(ra, nil, netip.IPv6LinkLocalAllNodes()); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(addresses(t, witness), netip.PrefixFrom(netip.MustParseAddr(prefix), 64).Contains)
	})
}

// routerSocket is an ICMPv6 socket of the guest's eth1, which must have its
// link-local address first.
func routerSocket(t *testing.T, g *ns.Guest) (conn *ndp.Conn) {
	t.Helper()
	var err error
	testwait.Eventually(t, "eth1 has a link-local address", func() bool {
		err = g.Do(t.Context(), func() error {
			eth1, err := net.InterfaceByName("eth1")
			if err == nil {
				eth1.Name = strconv.Itoa(eth1.Index) // as a zone: package net remembers indexes of names, of whatever namespace
				conn, _, err = ndp.Listen(eth1, ndp.LinkLocal)
			}
			return err
		})
		return err == nil
	})
	return conn
}

// addresses are the IPv6 addresses of a guest, or of the host for nil.
func addresses(t *testing.T, g *ns.Guest) (list []netip.Addr) {
	t.Helper()
	h := open(t, g)
	defer func() { _ = h.Close() }()
	addrs, err := nstest.Whole(func() ([]netlink.Addr, error) { return h.AddrList(nil, unix.AF_INET6) })
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip, _ := netip.AddrFromSlice(a.IP)
		list = append(list, ip)
	}
	return list
}

// learned are the host's IPv6 routes that the kernel made of advertisements, and
// its addresses from them.
func learned(t *testing.T) (list []string) {
	t.Helper()
	for _, a := range addresses(t, nil) {
		if strings.HasPrefix(a.String(), "fd") {
			list = append(list, a.String())
		}
	}
	h := open(t, nil)
	defer func() { _ = h.Close() }()
	routes, err := nstest.Whole(func() ([]netlink.Route, error) { return h.RouteList(nil, unix.AF_INET6) })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_RA || r.Dst != nil && strings.HasPrefix(r.Dst.String(), "fd") {
			list = append(list, r.String())
		}
	}
	return list
}

// sysctl reads a setting of the host's below net.
func sysctl(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func setSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// TestGuestAdvertises has a guest call itself a router before, while and after
// another one is attached: the host must not believe it (CVE-2020-13401).
func TestGuestAdvertises(t *testing.T) {
	evil, ge := nstest.Guest(t)
	other, gw := nstest.Guest(t)
	dhcptest.NoDAD(t, ge)
	dhcptest.NoDAD(t, gw)
	s := spec("eth1", "br1", "10.1.0.2/24")
	attach(t, evil, s)
	ctx, stop := context.WithCancel(t.Context())
	ended := flood(ctx, routerSocket(t, ge))
	attach(t, other, spec("eth1", "br1", "10.1.0.3/24"))
	stop()
	<-ended
	// The host has dealt with the first prefix when the witness has the second.
	advertise(t, ge, gw, "fd01::")
	advertise(t, ge, gw, "fd02::")
	if got := learned(t); len(got) > 0 {
		t.Errorf("the host learned from a guest: %q", got)
	}
	detach(t, other, s)
	detach(t, evil, s)
	if exists("br1") {
		t.Error("br1 outlives its guests")
		del(t, "br1")
	}
}

// TestHostEndAlone takes the host's end out of the bridge: the host hears the guest
// itself, as it does where Open vSwitch forwards in userspace.
func TestHostEndAlone(t *testing.T) {
	evil, ge := nstest.Guest(t)
	dhcptest.NoDAD(t, ge)
	s := spec("eth1", "br1", "10.1.0.2/24")
	at := attach(t, evil, s)
	h := handle(t, nil)
	end, err := h.LinkByName(at.HostName)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetNoMaster(end); err != nil {
		t.Fatal(err)
	}
	conn := routerSocket(t, ge)
	defer func() { _ = conn.Close() }()
	send := func() {
		ra := &ndp.RouterAdvertisement{RouterLifetime: time.Hour}
		if err := conn.WriteTo(ra, nil, netip.IPv6LinkLocalAllNodes()); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Eventually(t, "the host hears router advertisements", func() bool {
		send()
		b, err := os.ReadFile("/proc/net/dev_snmp6/" + at.HostName)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`Icmp6InRouterAdvertisements\s+([2-9]|\d\d)`).Match(b)
	})
	if got := learned(t); len(got) > 0 {
		t.Errorf("the host learned from a guest: %q", got)
	}
	// That its end has no link-local address does not suffice.
	setSysctl(t, "ipv6/conf/"+at.HostName+"/accept_ra", "1")
	testwait.Eventually(t, "the host follows", func() bool { send(); return len(learned(t)) > 0 })
	detach(t, evil, s)
}

// flood sends advertisements until ctx ends, and closes the socket.
func flood(ctx context.Context, conn *ndp.Conn) (ended chan struct{}) {
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = conn.Close() }()
		ra := &ndp.RouterAdvertisement{RouterLifetime: 30 * time.Minute}
		for ctx.Err() == nil {
			_ = conn.WriteTo(ra, nil, netip.IPv6LinkLocalAllNodes())
		}
	}()
	return ended
}

// TestLearnedAddressIsNoUse has the host follow a guest's advertisements, because
// somebody said so: the address that the kernel made of one keeps no bridge, one
// that somebody typed does.
func TestLearnedAddressIsNoUse(t *testing.T) {
	for _, c := range []struct {
		name string
		ends func(t *testing.T, guest pipework.Target, at *pipework.Attachment)
	}{
		{"detach", func(t *testing.T, guest pipework.Target, _ *pipework.Attachment) {
			detach(t, guest, spec("eth1", "br1"))
		}},
		{"gc", func(t *testing.T, _ pipework.Target, at *pipework.Attachment) {
			del(t, at.HostName) // as if the guest had died
			if _, err := pipework.Collect(t.Context()); err != nil {
				t.Error(err)
			}
		}},
	} {
		for _, typed := range []string{"", "fd09::1/64"} {
			t.Run(c.name+" "+typed, func(t *testing.T) {
				target, g := nstest.Guest(t)
				dhcptest.NoDAD(t, g)
				at := attach(t, target, spec("eth1", "br1", "10.1.0.2/24"))
				setSysctl(t, "ipv6/conf/br1/accept_ra", "2")
				setSysctl(t, "ipv6/conf/br1/autoconf", "1")
				advertise(t, g, nil, "fd03::")
				if typed != "" {
					h := handle(t, nil)
					br, err := h.LinkByName("br1")
					if err != nil {
						t.Fatal(err)
					}
					a, _ := netlink.ParseAddr(typed)
					if err := h.AddrAdd(br, a); err != nil {
						t.Fatal(err)
					}
				}
				c.ends(t, target, at)
				if exists("br1") != (typed != "") {
					t.Errorf("br1 is there: %t", exists("br1"))
				}
				if exists("br1") {
					del(t, "br1")
				}
			})
		}
	}
}

// TestHostSettings looks at what Attach sets on what it makes on the host, and
// that it leaves the rest alone.
func TestHostSettings(t *testing.T) {
	quiet := []string{"ipv6/conf/%/accept_ra", "ipv6/conf/%/autoconf", "ipv6/conf/%/accept_redirects", "ipv4/conf/%/accept_redirects"}
	all := func(name string) (values []string) {
		for _, key := range quiet {
			values = append(values, sysctl(t, strings.ReplaceAll(key, "%", name)))
		}
		return values
	}
	off := []string{"0", "0", "0", "0"}
	before := slices.Concat(all("all"), all("default"))
	target, _ := nstest.Guest(t)
	t.Run("bridge", func(t *testing.T) {
		s := spec("eth1", "br1", "10.1.0.2/24")
		at := attach(t, target, s)
		if got := all("br1"); !slices.Equal(got, off) {
			t.Errorf("br1 has %q", got)
		}
		if got := sysctl(t, "ipv6/conf/"+at.HostName+"/accept_ra"); got != "0" {
			t.Errorf("accept_ra of the host's end is %s", got)
		}
		if got := sysctl(t, "ipv6/conf/"+at.HostName+"/addr_gen_mode"); got != "1" {
			t.Errorf("the host's end gets a link-local address: addr_gen_mode is %s", got)
		}
		detach(t, target, s)
	})
	t.Run("bridge of an earlier version", func(t *testing.T) {
		for value, want := range map[string]string{"1": "0", "2": "2"} { // 2 is somebody's will
			s := spec("eth1", "br1", "10.1.0.2/24")
			attach(t, target, s)
			setSysctl(t, "ipv6/conf/br1/accept_ra", value)
			checked, err := pipework.Check(t.Context(), target, s)
			if err != nil || len(checked.Drifts) > 0 != (value == "1") {
				t.Errorf("check with accept_ra %s: %+v, %v", value, checked, err)
			}
			other, _ := nstest.Guest(t)
			attach(t, other, spec("eth1", "br1", "10.1.0.3/24"))
			if got := sysctl(t, "ipv6/conf/br1/accept_ra"); got != want {
				t.Errorf("accept_ra is %s after %s", got, value)
			}
			detach(t, other, s)
			detach(t, target, s)
		}
	})
	t.Run("bridge of others", func(t *testing.T) {
		h := handle(t, nil)
		if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs("lan")}); err != nil {
			t.Fatal(err)
		}
		defer del(t, "lan")
		own := all("lan")
		s := spec("eth1", "lan", "10.1.0.2/24")
		attach(t, target, s)
		if got := all("lan"); !slices.Equal(got, own) {
			t.Errorf("lan had %q, and has %q", own, got)
		}
		detach(t, target, s)
	})
	t.Run("VLAN", func(t *testing.T) {
		needs(t, "vlan")
		addNIC(t, "nic0")
		own := all("nic0")
		b := link.Macvlan{Parent: "nic0", VLAN: 100}
		plug(t, target, b, "10.1.0.2/24")
		if got := all("nic0.100"); !slices.Equal(got, off) {
			t.Errorf("nic0.100 has %q", got)
		}
		setSysctl(t, "ipv6/conf/nic0/accept_ra", "1")
		setSysctl(t, "ipv6/conf/nic0.100/accept_ra", "1")
		other, _ := nstest.Guest(t)
		plug(t, other, b, "10.1.0.3/24")
		if got := sysctl(t, "ipv6/conf/nic0.100/accept_ra"); got != "0" {
			t.Errorf("accept_ra of a VLAN of an earlier version is %s", got)
		}
		if got := all("nic0"); !slices.Equal(got, own) {
			t.Errorf("nic0 had %q, and has %q", own, got)
		}
		unplug(t, other, b)
		unplug(t, target, b)
	})
	if after := slices.Concat(all("all"), all("default")); !slices.Equal(before, after) {
		t.Errorf("the settings for all interfaces were %q, and are %q", before, after)
	}
}
