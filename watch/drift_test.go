//go:build linux

package watch_test

import (
	"errors"
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

// within changes eth1 in a container, as somebody in there may.
func within(t *testing.T, to pipework.Target, change func(*netlink.Handle, netlink.Link) error) {
	t.Helper()
	withinOf(t, to, "eth1", change)
}

// withinOf is within for an interface of another name.
func withinOf(t *testing.T, to pipework.Target, name string, change func(*netlink.Handle, netlink.Link) error) {
	t.Helper()
	g, err := to.Open(t.Context())
	must(t, err)
	defer func() { _ = g.Close() }()
	unlock, err := g.RLock(t.Context(), 10*time.Second)
	must(t, err)
	defer unlock()
	inGuest(t, g, func(h *netlink.Handle) { must(t, change(h, linkOf(t, h, name))) })
}

// withoutAddr takes an address from eth1 in a container.
func withoutAddr(t *testing.T, to pipework.Target, text string) {
	t.Helper()
	addr, err := netlink.ParseAddr(text)
	must(t, err)
	within(t, to, func(h *netlink.Handle, l netlink.Link) error { return h.AddrDel(l, addr) })
}

// TestMendsDrift changes an interface in the container: that is mended once, and left so
// when it comes back. What is removed is attached again.
func TestMendsDrift(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.create("web", nil)
	r.begin("web")
	web, p := r.Container(id("web")), r.plugger(s)
	typed(t, p, "br1 docker:web 10.0.0.2/24")
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })

	within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
	testwait.Eventually(t, "it is up again", func() bool {
		up := false
		within(t, web, func(_ *netlink.Handle, l netlink.Link) error {
			up = l.Attrs().RawFlags&1 != 0
			return nil
		})
		return up
	})
	testwait.Eventually(t, "it is counted", func() bool { return w.metrics()["mended_total"] == "1" })

	within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
	testwait.Eventually(t, "it is told", func() bool { return strings.Contains(w.said.String(), "not as declared again, and left so") })
	w.compares()
	if n := strings.Count(w.said.String(), "left so"); n != 1 || w.metrics()["mended_total"] != "1" {
		t.Errorf("told %d times; %v", n, w.metrics())
	}

	within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
	has(t, web, "eth1")
	testwait.Eventually(t, "it is attached again", func() bool { return w.metrics()["plugged_total"] == "1" })
	within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
	testwait.Eventually(t, "the new one is mended, too", func() bool { return w.metrics()["mended_total"] == "2" })
	found, err := p.Status(t.Context())
	if err != nil || len(found) != 1 || found[0].State != keep.AsDeclared {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestComparesWithoutItsRuntime has a runtime that answers nothing any more: its guests are
// compared all the same, what differs is tried, and mended when it answers.
func TestComparesWithoutItsRuntime(t *testing.T) {
	r := newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	r.begin("web")
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	web, asked := r.Container(id("web")), r.asked.Load()
	r.away.Store(true)
	w.compares()
	if m := w.metrics(); r.asked.Load() != asked || m["failures_total"] != "0" {
		t.Errorf("asked %d times; %v", r.asked.Load()-asked, m)
	}
	withoutAddr(t, web, "10.0.0.2/24")
	testwait.Eventually(t, "the runtime is asked", func() bool { return w.metrics()["guests_failing"] == "1" })
	r.away.Store(false)
	testwait.Eventually(t, "it is mended", func() bool { return w.metrics()["mended_total"] == "1" && w.metrics()["guests_failing"] == "0" })
}

// TestTellsOnceWhatCannotBeCompared has somebody in the container take the mark from an
// interface: that is told, and is no failure.
func TestTellsOnceWhatCannotBeCompared(t *testing.T) {
	makeNIC(t, "nicx", "02:00:00:00:09:09")
	r := newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "nicx 10.0.0.2/24"})
	r.begin("web")
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	within(t, r.Container(id("web")), func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetAlias(l, "mine") })
	testwait.Eventually(t, "it is told", func() bool { return strings.Contains(w.said.String(), "not compared") })
	w.compares()
	if n := strings.Count(w.said.String(), "level=WARN"); n != 1 || w.metrics()["failures_total"] != "0" {
		t.Errorf("told %d times; %v", n, w.metrics())
	}
}

// TestMendsEachDriftOnce changes an interface in one way after the other, and then in the
// first way again: that is left so.
func TestMendsEachDriftOnce(t *testing.T) {
	r := newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	r.begin("web")
	web := r.Container(id("web"))
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	mended := func(n string) {
		t.Helper()
		testwait.Eventually(t, "it is mended", func() bool { return w.metrics()["mended_total"] == n })
	}
	down := func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) }
	within(t, web, down)
	mended("1")
	withoutAddr(t, web, "10.0.0.2/24")
	mended("2")
	for range 2 {
		within(t, web, down)
		w.compares()
		within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetUp(l) })
		w.compares()
	}
	if n := strings.Count(w.said.String(), "left so"); n != 1 || w.metrics()["mended_total"] != "2" {
		t.Errorf("told %d times; %v", n, w.metrics())
	}
}

// TestLeavesWhatWasRenamed has somebody in the container rename an interface, and change
// it: it is told, and left alone, by comparisons and when everything is looked at again.
func TestLeavesWhatWasRenamed(t *testing.T) {
	r := newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	r.begin("web")
	web, labels := r.Container(id("web")), func() *watch.Watcher { return &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond} }
	w := runWatcher(t, labels())
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	within(t, web, func(h *netlink.Handle, l netlink.Link) error {
		return errors.Join(h.LinkSetDown(l), h.LinkSetName(l, "lan0"))
	})
	const renamed = "now=lan0"
	testwait.Eventually(t, "it is told", func() bool { return strings.Contains(w.said.String(), renamed) })
	w.compares()
	r.cut()
	testwait.Eventually(t, "all is looked at", func() bool { return w.metrics()[`synchronisations_total{source="test"}`] == "2" })
	w.compares()
	has(t, web, "lan0")
	if n := strings.Count(w.said.String(), renamed); n != 1 || w.metrics()["attachments"] != "1" || w.metrics()["failures_total"] != "0" {
		t.Errorf("told %d times; %v", n, w.metrics())
	}
	w.end()

	again := runWatcher(t, labels())
	testwait.Eventually(t, "it is told again", func() bool { return strings.Contains(again.said.String(), renamed) })
	again.compares()
	has(t, web, "lan0")
	withinOf(t, web, "lan0", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetName(l, "eth1") })
	testwait.Eventually(t, "what has its name again is mended", func() bool { return again.metrics()["mended_total"] == "1" })
	has(t, web, "eth1")
}

// TestPairComesBack ends the other guest of a pair, which takes the pair along, and starts
// it again.
func TestPairComesBack(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.create("db", nil)
	r.begin("db")
	r.create("web", nil)
	r.begin("web")
	web, p := r.Container(id("web")), r.plugger(s)
	typed(t, p, "veth:docker:db/eth5 docker:web 10.9.0.1/30@10.9.0.2")
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })

	r.kill("db")
	r.events <- ns.Event{Action: ns.Died, ID: id("db")}
	testwait.Eventually(t, "it is missed", func() bool {
		found, err := p.Status(t.Context())
		return err == nil && len(found) == 1 && found[0].State == keep.Missing
	})
	r.start("db")
	has(t, web, "eth1")
	testwait.Eventually(t, "it is as declared", func() bool {
		found, err := p.Status(t.Context())
		return err == nil && len(found) == 1 && found[0].State == keep.AsDeclared
	})
}

// TestPairWithoutTarget has a Watcher that is given no Target ask its Sources for the other
// guest of a pair.
func TestPairWithoutTarget(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.create("db", nil)
	r.begin("db")
	r.create("web", nil)
	r.begin("web")
	must(t, s.Put(keep.Record{
		Guest: ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, Interface: "eth1", Source: keep.FromCommand, Phase: keep.Attached,
		Spec: pipework.Spec{Link: link.Veth{Peer: ns.ParseRef("docker:db"), PeerName: "eth5"}, Addrs: addrs("10.9.0.1/30")},
	}))
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s}, Sources: []ns.Source{r}})
	testwait.Eventually(t, "it was tried", func() bool { return w.metrics()["plugged_total"] != "0" || w.metrics()["failures_total"] != "0" })
	has(t, r.Container(id("web")), "eth1")
}

// TestMendsTheHostsEnd takes the host's end from its bridge, and then the bridge from the host.
func TestMendsTheHostsEnd(t *testing.T) {
	r := newRuntime(t)
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	has(t, r.Container(id("web")), "eth1")
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	at, err := pipework.Check(t.Context(), r.Container(id("web")), pipework.Spec{})
	must(t, err)
	h, err := netlink.NewHandle()
	must(t, err)
	defer h.Close()
	must(t, h.LinkSetNoMaster(linkOf(t, h, at.HostName)))
	onBridge := func() bool { return linkOf(t, h, at.HostName).Attrs().MasterIndex != 0 }
	testwait.Eventually(t, "it is on its bridge again", onBridge)
	must(t, h.LinkDel(linkOf(t, h, "br1")))
	testwait.Eventually(t, "there is a bridge again", onBridge)
}

// TestDetachedWhileCompared detaches what a label declares, which nothing but the
// comparison tells of: it waits for the next start.
func TestDetachedWhileCompared(t *testing.T) {
	s, r := store(t), newRuntime(t)
	p := r.plugger(s)
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 5 * time.Millisecond})
	has(t, r.Container(id("web")), "eth1")
	testwait.Eventually(t, "it is recorded", func() bool { return w.metrics()["attachments"] == "1" })
	for range 3 {
		detached(t, p, "docker:web", "")
		w.compares()
		has(t, r.Container(id("web")))
		r.restart("web")
		has(t, r.Container(id("web")), "eth1")
		testwait.Eventually(t, "it is recorded again", func() bool {
			rec, err := s.Get(ns.ParseRef("docker:web"), "eth1")
			return err == nil && rec.Phase == keep.Attached
		})
	}
}

// TestLeavesWhatIsBeingDetached has a comparison find an interface that detach has begun to
// take away, and not ended: it is not mended.
func TestLeavesWhatIsBeingDetached(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	r.begin("web")
	web := r.Container(id("web"))
	w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is recorded", func() bool { return w.metrics()["attachments"] == "1" })
	rec, err := s.Get(ns.ParseRef("docker:web"), "eth1")
	must(t, err)
	rec.Phase = keep.Detaching
	must(t, s.Put(*rec))
	withoutAddr(t, web, "10.0.0.2/24")
	w.compares()
	if now := has(t, web, "eth1"); !strings.HasSuffix(now["eth1"], "[]") || w.metrics()["mended_total"] != "0" || w.metrics()["attachments"] != "0" {
		t.Error(now, w.metrics())
	}
}

// TestGivesUpWhatIsRefused has an interface that was added to differ in a way that is not
// mended there, but refused: that is told once, and not tried again.
func TestGivesUpWhatIsRefused(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.create("web", nil)
	r.begin("web")
	web, spec := r.Container(id("web")), onBridgeSpec("br1", "10.0.0.2/24")
	spec.MTU = 1400
	_, err := pipework.Attach(t.Context(), web, spec)
	must(t, err)
	spec.Addrs = addrs("10.0.0.2/24", "10.0.1.2/24")
	must(t, s.Put(keep.Record{
		Guest: ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, Interface: "eth1", Spec: spec, Source: keep.FromCommand, Phase: keep.Attached,
	}))
	w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is added to", func() bool { return w.metrics()["attachments"] == "1" })
	within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetMTU(l, 1300) })
	testwait.Eventually(t, "it is tried", func() bool { return w.metrics()["failures_total"] == "1" })
	w.compares()
	w.compares()
	if m := w.metrics(); m["failures_total"] != "1" || m["guests_failing"] != "0" || m["attachments"] != "1" || strings.Count(w.said.String(), "level=WARN") != 1 {
		t.Errorf("tried again: %v", m)
	}
	withoutAddr(t, web, "10.0.1.2/24")
	testwait.Eventually(t, "something else is tried", func() bool { return w.metrics()["failures_total"] == "2" })
	r.cut()
	testwait.Eventually(t, "all is tried again", func() bool { return w.metrics()["failures_total"] == "3" })
	w.compares()
	w.compares()
	if m := w.metrics(); m["failures_total"] != "3" || m["guests_failing"] != "0" || m["attachments"] != "1" {
		t.Errorf("tried for ever: %v", m)
	}
}

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
