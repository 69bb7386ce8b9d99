//go:build linux

package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
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
