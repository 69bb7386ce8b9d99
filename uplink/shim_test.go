//go:build linux

package uplink_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/uplink"
)

// shim is that of the scene's NIC.
func (s *scene) shim(addrs ...string) uplink.Shim {
	sh := uplink.Shim{NIC: "nic0", Store: s.plan.Store, Host: s.host.Handle}
	for _, a := range addrs {
		sh.Addrs = append(sh.Addrs, netip.MustParsePrefix(a))
	}
	return sh
}

// plugger plugs guests into the scene's NIC, and has its shim follow.
func (s *scene) plugger() *keep.Plugger {
	return &keep.Plugger{
		Attacher: pipework.Attacher{Host: s.host.Handle}, Store: s.plan.Store, Follow: uplink.Follow,
		Target: func(r ns.Ref) pipework.Target { return find.Target(r) },
	}
}

// guest plugs a guest into the NIC by a macvlan.
func (s *scene) guest(t *testing.T, addrs ...string) (ns.Ref, *ns.Guest) {
	t.Helper()
	name, g := nstest.Guest(t)
	sysctl(t, g, "net.ipv6.conf.default.accept_dad=0")
	spec := pipework.Spec{Link: link.Macvlan{Parent: "nic0"}}
	for _, a := range addrs {
		spec.Addrs = append(spec.Addrs, netip.MustParsePrefix(a))
	}
	ref := ns.ParseRef("netns:" + string(name))
	at, _, err := s.plugger().Attach(t.Context(), ref, keep.Declared{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range at.Warnings {
		if !strings.HasPrefix(w, "another host") { // one that takes the router's address
			t.Error(w)
		}
	}
	return ref, g
}

func added(t *testing.T, sh uplink.Shim) *uplink.Shimmed {
	t.Helper()
	done, err := sh.Add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range done.Warnings {
		t.Error(w)
	}
	return done
}

func removed(t *testing.T, sh uplink.Shim) *uplink.Shimmed {
	t.Helper()
	done, err := sh.Remove(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestShim has the host and macvlan guests reach each other: those that were there before, and
// those that come and go.
func TestShim(t *testing.T) {
	s := newScene(t, "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1")
	before := snapshot(t, s.host)
	first, g := s.guest(t, "10.0.0.7/24", "fd00::7/64", "10.99.0.7/24", "10.0.0.1/24")
	nstest.NoPing(t, s.host.Handle, "10.0.0.7")

	done := added(t, s.shim("10.0.0.5/24"))
	if done.Interface != "shim-nic0" || len(done.Guests) != 1 {
		t.Errorf("%+v", done)
	}
	nstest.Ping(t, s.host.Handle, "10.0.0.7")
	nstest.Ping(t, g.Handle, "10.0.0.5")
	nstest.Ping(t, g.Handle, "10.0.0.2") // by the NIC's own address, too
	if got := show(t, s.host, "route get 10.0.0.1"); !strings.Contains(got, "dev nic0") {
		t.Errorf("a guest with the router's address draws what goes there: %s", got)
	}
	if got := show(t, s.host, "route get 10.99.0.7"); !strings.Contains(got, "dev nic0") {
		t.Errorf("a guest with an address of another network draws what goes there: %s", got)
	}
	added(t, s.shim("fd00::5/64", "10.0.0.6/24"))
	nstest.Ping(t, s.host.Handle, "fd00::7")
	nstest.Ping(t, g.Handle, "fd00::5")
	nstest.Ping(t, g.Handle, "10.0.0.6")

	// Other hosts reach all addresses by the NIC's MAC.
	ip(t, s.router, "neigh flush dev eth0")
	for _, a := range []string{"10.0.0.2", "10.0.0.5", "10.0.0.6"} {
		nstest.Ping(t, s.remote.Handle, a)
		mac := strings.Fields(show(t, s.host, "-o link show nic0"))
		neigh := show(t, s.router, "neigh show "+a)
		if i := strings.Index(neigh, "lladdr "); i < 0 || !strings.Contains(strings.Join(mac, " "), strings.Fields(neigh[i:])[1]) {
			t.Errorf("another host than by the NIC: %q", neigh)
		}
	}

	second, h := s.guest(t, "10.0.0.8/24")
	nstest.Ping(t, s.host.Handle, "10.0.0.8")
	nstest.Ping(t, h.Handle, "10.0.0.7")
	for _, ref := range []ns.Ref{second, first} {
		if _, err := s.plugger().Detach(t.Context(), ref, "", keep.DetachOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := show(t, s.host, "route show dev shim-nic0") + show(t, s.host, "-6 route show proto 112 dev shim-nic0"); got != "" {
		t.Errorf("routes to guests that are gone: %s", got)
	}

	if done := removed(t, s.shim("10.0.0.6/24")); len(done.Addrs) != 2 {
		t.Errorf("%+v", done)
	}
	if _, err := s.shim("10.0.0.6/24").Remove(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	removed(t, s.shim())
	s.unchanged(t, before)
	if _, err := s.shim().Remove(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestShimAgain makes a shim again of which only the record is left, as after a boot, or that
// lost something.
func TestShimAgain(t *testing.T) {
	s := newScene(t)
	_, g := s.guest(t, "10.0.0.7/24")
	added(t, s.shim("10.0.0.5/24"))
	for _, broken := range []string{"link del shim-nic0", "addr del 10.0.0.5/24 dev shim-nic0", "link set shim-nic0 down", "route del 10.0.0.7/32"} {
		ip(t, s.host, broken)
		if err := uplink.Follow(t.Context(), s.plan.Store, s.host.Handle); err != nil {
			t.Fatal(err)
		}
		nstest.Ping(t, s.host.Handle, "10.0.0.7")
		nstest.Ping(t, g.Handle, "10.0.0.5")
	}
	removed(t, s.shim())
}

// TestShimRefused changes nothing.
func TestShimRefused(t *testing.T) {
	s := newScene(t)
	ip(t, s.host, "link add br0 type bridge", "link add v0 type veth peer name v1", "link set v0 master br0 up", "link set br0 up", "link set v1 up",
		"link add v2 type veth peer name v3", "link add shim-v1 type veth peer name v4")
	atRest(t, s.host)
	before := snapshot(t, s.host)
	for _, row := range []struct {
		nic, addr string
		is        error
		says      string
	}{
		{"nic0", "10.0.0.2/24", fs.ErrExist, "already"},
		{"nic0", "10.0.0.0/24", fs.ErrInvalid, "subnet's own"},
		{"nope", "10.0.0.5/24", fs.ErrNotExist, "no interface nope"},
		{"lo", "10.0.0.5/24", fs.ErrInvalid, "no Ethernet"},
		{"v0", "10.0.0.5/24", fs.ErrInvalid, "port of a bridge"},
		{"v2", "10.0.0.5/24", fs.ErrInvalid, "ip link set v2 up"},
		{"v1", "10.0.0.5/24", fs.ErrExist, "did not make"},
	} {
		sh := s.shim(row.addr)
		sh.NIC = row.nic
		if _, err := sh.Add(t.Context()); !errors.Is(err, row.is) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.nic, err)
		}
	}
	s.unchanged(t, before)
}

// TestShimFaults fails, and kills, every step: before or done, or what the next call makes whole.
func TestShimFaults(t *testing.T) {
	s := newScene(t)
	s.guest(t, "10.0.0.7/24", "fd00::7/64")
	before := snapshot(t, s.host)
	clean := func() {
		t.Helper()
		if _, err := s.shim().Remove(t.Context()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		s.unchanged(t, before)
	}
	for name, with := range map[string]func(context.Context, fault.Injector) context.Context{"fault": fault.With, "kill": fault.Kill} {
		n := contract.SomeSteps(t, with, func(ctx context.Context) error {
			_, err := s.shim("10.0.0.5/24", "fd00::5/64").Add(ctx)
			if err != nil && name == "fault" {
				s.unchanged(t, before)
			}
			clean()
			return err
		})
		t.Logf("%s: %d steps", name, n)
		contract.SomeSteps(t, with, func(ctx context.Context) error {
			added(t, s.shim("10.0.0.5/24", "fd00::5/64"))
			_, err := s.shim().Remove(ctx)
			clean()
			return err
		})
	}
}

// TestShimLeased reaches a guest whose address came by DHCP.
func TestShimLeased(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t)
	_, host := nstest.Guest(t)
	dhcptest.Plug(t, host)
	ip(t, host, "addr add 10.77.0.2/24 dev eth1")
	store, err := keep.Open(t.TempDir(), link.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := &scene{host: host, plan: uplink.Plan{Store: store, Host: host.Handle}}
	shim := s.shim("10.77.0.5/24")
	shim.NIC = "eth1"
	added(t, shim)
	name, guest := nstest.Guest(t)
	spec := pipework.Spec{Link: link.Macvlan{Parent: "eth1"}, DHCP: &dhcp.Config{}}
	at, _, err := s.plugger().Attach(t.Context(), ns.ParseRef("netns:"+string(name)), keep.Declared{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	nstest.Ping(t, host.Handle, at.Lease.Addr.Addr().String())
	nstest.Ping(t, guest.Handle, "10.77.0.5")
	if got := show(t, host, "route get "+at.Lease.Addr.Addr().String()); !strings.Contains(got, "dev shim-eth1") {
		t.Error(got)
	}
	removed(t, shim)
}
