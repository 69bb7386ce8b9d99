//go:build linux

package watch_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestKeepsTheLeaseOfDrift has an interface drift that cannot be mended, since its DHCP
// server does not answer: its lease is kept on, until the server answers and it is mended.
func TestKeepsTheLeaseOfDrift(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	dhcptest.Network(t)
	server := dhcptest.Kea(t, 600)
	r := newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": dhcptest.Bridge + " 'dhcp:-t 1 -T 1'"})
	r.begin("web")
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	server.Stop()
	within(t, r.Container(id("web")), func(h *netlink.Handle, l netlink.Link) error {
		all, err := h.AddrList(l, netlink.FAMILY_V4)
		if err != nil || len(all) != 1 {
			return fmt.Errorf("%v, %w", all, err)
		}
		return h.AddrDel(l, &all[0])
	})
	testwait.Eventually(t, "it is tried", func() bool { return w.metrics()["guests_failing"] == "1" })
	if m := w.metrics(); m["attachments"] != "1" {
		t.Errorf("%v", m)
	}
	dhcptest.Kea(t, 600)
	testwait.Eventually(t, "it is mended", func() bool { return w.metrics()["mended_total"] == "1" && w.metrics()["guests_failing"] == "0" })
	if now := has(t, r.Container(id("web")), "eth1"); !strings.Contains(now["eth1"], "[10.77.0.") {
		t.Error(now)
	}
}

// TestKeepsTheLeaseOnAsItIs has an interface drift that cannot be mended, when the lease that
// it was attached with would have run out, had it not been renewed: the renewed one is kept on.
func TestKeepsTheLeaseOnAsItIs(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	dhcptest.Network(t)
	dhcptest.Kea(t, 4)
	s, r := store(t), newRuntime(t)
	r.create("web", nil)
	r.begin("web")
	web := r.Container(id("web"))
	mac, err := net.ParseMAC(dhcptest.RouterMAC)
	must(t, err)
	spec := pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, DHCP: &dhcp.Config{}, Addrs: addrs("10.0.0.9/24")}
	_, err = pipework.Attach(t.Context(), web, spec)
	must(t, err)
	must(t, s.Put(keep.Record{
		Guest: ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, Interface: "eth1", Spec: spec,
		HostMAC: pipework.MAC(mac), Source: keep.FromCommand, Phase: keep.Attached,
	}))
	w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })
	renewals := func() int {
		n, _ := strconv.Atoi(w.metrics()[`leases_total{event="renewed"}`])
		return n
	}
	testwait.Eventually(t, "it was renewed for longer than a lease", func() bool { return renewals() >= 5 })

	makeNIC(t, "other", dhcptest.RouterMAC) // so that it cannot be told which one is declared
	withoutAddr(t, web, "10.0.0.9/24")
	testwait.Eventually(t, "it is tried", func() bool { return w.metrics()["failures_total"] == "1" })
	before := renewals()
	testwait.Eventually(t, "the lease is renewed on", func() bool { return renewals() > before+2 })
	if said := w.said.String(); strings.Contains(said, "lease lost") {
		t.Error("the lease was lost")
	}
}
