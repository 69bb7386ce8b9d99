//go:build linux

package watch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

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

// TestTellsOfAnotherHost has another guest take the address later: the first comparison that
// begins when it answers tells, and no other. It listens for so long that it misses no answer.
func TestTellsOfAnotherHost(t *testing.T) {
	r := newRuntime(t)
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	watcher := &watch.Watcher{Sources: []ns.Source{r}, Resync: 20 * time.Millisecond}
	watcher.SetProbe(time.Second)
	w := runWatcher(t, watcher)
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	w.compares()
	const warning = "has 10.0.0.2 too"
	if strings.Contains(w.said.String(), warning) {
		t.Error("told of nobody")
	}
	other, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Bridge{Name: "br1"}, Addrs: addrs("10.0.0.2/24")}
	if _, err := pipework.Attach(t.Context(), other, s); err != nil {
		t.Fatal(err)
	}
	w.compares() // from the beginning, once
	if !strings.Contains(w.said.String(), warning) {
		t.Error("not told by the first comparison")
	}
	w.compares()
	if n := strings.Count(w.said.String(), warning); n != 1 || w.metrics()["failures_total"] != "0" {
		t.Errorf("told %d times; %v", n, w.metrics())
	}
	if _, err := pipework.Detach(t.Context(), other, s); err != nil {
		t.Error(err)
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
	failures := w.metrics()["failures_total"] // one, where it was seen down and about to be renamed
	w.compares()
	r.cut()
	testwait.Eventually(t, "all is looked at", func() bool { return w.metrics()[`synchronisations_total{source="test"}`] == "2" })
	w.compares()
	has(t, web, "lan0")
	if n := strings.Count(w.said.String(), renamed); n != 1 || w.metrics()["attachments"] != "1" || w.metrics()["failures_total"] != failures {
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
	testwait.Eventually(t, "it does not count", func() bool { return w.metrics()["attachments"] == "0" })
	w.compares()
	if now := has(t, web, "eth1"); !strings.HasSuffix(now["eth1"], "[]") || w.metrics()["mended_total"] != "0" {
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
