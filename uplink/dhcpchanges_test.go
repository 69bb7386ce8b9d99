//go:build linux

package uplink_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
)

// leased is a host on a network with a server, whose NIC eth1 a client has a lease for.
func leased(t *testing.T, program, line string, files map[string]string) (g *ns.Guest, p uplink.Plan, pid int) {
	t.Helper()
	for _, program := range []string{"dnsmasq", program} {
		dhcptest.Need(t, program)
	}
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, "--dhcp-option=option:router,"+dhcptest.Router)
	_, g = nstest.Guest(t)
	sysctl(t, g, "net.ipv6.conf.default.disable_ipv6=1")
	dhcptest.Plug(t, g)
	pid = client(t, g, line, files).Process.Pid
	testwait.Eventually(t, "the client has a lease", func() bool { return strings.Contains(show(t, g, "route"), "default via "+dhcptest.Router) })
	store, err := keep.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return g, uplink.Plan{NIC: "eth1", Bridge: "br0", Store: store, Host: g.Handle, DHCP: true}, pid
}

// TestLeaseChanges gives the bridge another lease, of whose address and router the record knows
// nothing, and then none: neither is a drift, and no other interface loses its default route.
func TestLeaseChanges(t *testing.T) {
	g, p, _ := leased(t, "udhcpc", "udhcpc -f -i eth1 -s $PWD/script", map[string]string{"script": dhcpScript})
	if _, err := uplink.Move(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	ip(t, g, "link add other type veth peer name far", "link set other up", "link set far up", "addr add 10.78.0.2/24 dev other", "route append default via 10.78.0.1")
	all, err := uplink.Leases(t.Context(), p.Store, g.Handle)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	had := all[0].Lease
	next := *had
	next.Addr, next.Routers = netip.MustParsePrefix("10.77.0.251/24"), []netip.Addr{netip.MustParseAddr("10.77.0.253")}
	next.Expires = time.Now().Add(time.Second / 2)
	is := func(what string, has, hasNot []string) {
		t.Helper()
		found := show(t, g, "-4 addr show dev br0") + show(t, g, "route show default")
		for _, word := range has {
			if !strings.Contains(found, word) {
				t.Errorf("%s: there is no %s:\n%s", what, word, found)
			}
		}
		for _, word := range hasNot {
			if strings.Contains(found, word) {
				t.Errorf("%s: there is %s:\n%s", what, word, found)
			}
		}
		if list, err := uplink.List(t.Context(), p); err != nil || len(list) != 1 || !list[0].OK() {
			t.Errorf("%s: %v, %v", what, list, err)
		}
	}
	if err := all[0].Apply(t.Context(), nil, had, &next); err != nil {
		t.Fatal(err)
	}
	is("another lease", []string{"10.77.0.251/24", "via 10.77.0.253", "via 10.78.0.1"}, []string{had.Addr.Addr().String() + "/", "via " + dhcptest.Router + " "})
	if err := all[0].Apply(t.Context(), nil, &next, nil); err != nil {
		t.Fatal(err)
	}
	is("no lease", []string{"via 10.78.0.1"}, []string{"10.77.0.251/"})
	next.Expires = had.Expires
	if err := all[0].Apply(t.Context(), nil, nil, &next); err != nil {
		t.Fatal(err)
	}
	is("a lease again", []string{"10.77.0.251/24", "via 10.77.0.253", "via 10.78.0.1"}, nil)
	if _, err := uplink.Undo(t.Context(), p); err != nil {
		t.Error(err)
	}
}

// TestDHCPClientRuns: a move that fails before it stops dhcpcd does not end it.
func TestDHCPClientRuns(t *testing.T) {
	files := map[string]string{"dhcpcd.conf": "duid\npersistent\nnoipv4ll\nnoarp\noption routers, subnet_mask\n"}
	g, p, pid := leased(t, "dhcpcd", "dhcpcd -B -4 -f $PWD/dhcpcd.conf --script /bin/true eth1", files)
	full := errors.New("no space left")
	ctx := fault.With(t.Context(), func(step string) error {
		if step == "write record of uplink" {
			return full
		}
		return nil
	})
	if _, err := uplink.Move(ctx, p); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if m, err := uplink.Move(t.Context(), p); err != nil || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], fmt.Sprintf("dhcpcd is stopped (process %d)", pid)) {
		t.Errorf("dhcpcd does not run any more: %v, %v", m, err)
	} else if _, err := uplink.Undo(t.Context(), p); err != nil {
		t.Error(err)
	}
	if !strings.Contains(show(t, g, "route"), "default via "+dhcptest.Router) {
		t.Error(show(t, g, "route"))
	}
}

// TestLeasesElsewhere: a lease of another network namespace is not told as one of this.
func TestLeasesElsewhere(t *testing.T) {
	g, p, _ := leased(t, "udhcpc", "udhcpc -f -i eth1 -s $PWD/script", map[string]string{"script": dhcpScript})
	if _, err := uplink.Move(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for _, host := range []*ns.Handle{nil, g.Handle} {
		all, err := uplink.Leases(t.Context(), p.Store, host)
		if here := host != nil; err != nil || (len(all) == 1) != here {
			t.Errorf("%d leases, %v", len(all), err)
		}
	}
	if _, err := uplink.Undo(t.Context(), p); err != nil {
		t.Error(err)
	}
}
