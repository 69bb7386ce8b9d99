//go:build linux

package watch_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestRenamed has a container keep what was typed under another name, until one
// that is made takes the name.
func TestRenamed(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	typed(t, r.plugger(s), "br1 docker:web 10.0.0.1/24")
	w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}})
	r.rename("web", "old")
	r.restart("web")
	first := has(t, r.Container(id("web")), "eth1")

	r.kill("web")
	r.run("new", nil)
	r.rename("new", "web")
	r.restart("new")
	if now := has(t, r.Container(id("new")), "eth1"); now["eth1"] != first["eth1"] {
		t.Errorf("another MAC or address: %v, was %v", now, first)
	}
	testwait.Eventually(t, "the record is the new one's", func() bool {
		rec, err := s.Get(ns.ParseRef("docker:web"), "eth1")
		return err == nil && rec.Guest.ID == id("new") && rec.Attachment.Guest.ID == id("new")
	})
	r.start("web") // which is called old
	testwait.Eventually(t, "it was looked at", func() bool { return w.metrics()["guests"] == "1" && w.metrics()[`events_total{action="start"}`] == "5" })
	time.Sleep(100 * time.Millisecond)
	has(t, r.Container(id("web")))
	has(t, r.Container(id("new")), "eth1")
}

// TestProcessByPath has a record of a process by the path of its namespace, under
// whose number there is another one by now.
func TestProcessByPath(t *testing.T) {
	s := store(t)
	p := nstest.Process(t)
	for i, word := range []string{"netns:/proc/%d/ns/net", "netns://proc/%d/ns/../ns/net", "/./proc/%d/ns/net"} {
		word = fmt.Sprintf(word, p.PID)
		name := fmt.Sprint("eth", i)
		must(t, s.Put(keep.Record{
			Guest: ns.ParseRef(word), Interface: name, Spec: onBridgeSpec("br1", "10.0.0.9/24"), Source: keep.FromCommand, Phase: keep.Attached,
		}))
	}
	to := func(word string) pipework.Target { return ns.Path(strings.TrimPrefix(word, "netns:")) }
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s, Target: byText(to)}, Poll: 20 * time.Millisecond})
	testwait.Eventually(t, "they were looked at", func() bool { return w.metrics()["failures_total"] == "3" })
	has(t, ns.PID(p.PID))
}

// TestContainerOfAnotherUser is one that no source tells of, though there is a
// source of its kind.
func TestContainerOfAnotherUser(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.kind = "podman"
	g, _ := nstest.Guest(t)
	must(t, s.Put(keep.Record{
		Guest: ns.ParseRef("podman:alice/web"), Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"), Source: keep.FromCommand, Phase: keep.Attached,
	}))
	p := keep.Plugger{Store: s, Target: func(ns.Ref) pipework.Target { return g }}
	runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Poll: 20 * time.Millisecond})
	has(t, g, "eth1")
}

// TestForgetsWhileAnEngineIsAway has one engine not answer: what the other one's
// containers declared is forgotten with them, and only that.
func TestForgetsWhileAnEngineIsAway(t *testing.T) {
	s, docker, podman := store(t), newRuntime(t), newRuntime(t)
	podman.kind = "podman"
	label := map[string]string{"pipework.eth1": "br1 10.0.0.2/24"}
	docker.run("web", label)
	podman.run("db", label)
	runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s}, Sources: []ns.Source{docker, podman}})
	recorded := func(guest string) bool {
		_, err := s.Get(ns.ParseRef(guest), "eth1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	testwait.Eventually(t, "both are recorded", func() bool { return recorded("docker:web") && recorded("podman:db") })
	podman.away.Store(true)
	podman.remove("db")
	docker.remove("web")
	testwait.Eventually(t, "the container is forgotten", func() bool { return !recorded("docker:web") })
	if !recorded("podman:db") {
		t.Error("nobody knows whether the other one is gone")
	}
}

// TestFinishesKilledCall has a call be killed that was about to plug in anew what
// had been typed before.
func TestFinishesKilledCall(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	before := keep.Record{
		Version: 2, Guest: ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"),
		Source: keep.FromCommand, Phase: keep.Attached,
	}
	killed := before
	killed.Phase, killed.Before, killed.Spec = keep.Intent, &before, onBridgeSpec("br1", "10.0.0.5/24")
	must(t, s.Put(killed))
	spec := pipework.Spec{Link: link.Bridge{Name: "br1"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}}
	_, err := pipework.Attach(t.Context(), r.Container(id("web")), spec)
	must(t, err)
	w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}})
	testwait.Eventually(t, "the older record holds", func() bool {
		rec, err := s.Get(ns.ParseRef("docker:web"), "eth1")
		return err == nil && rec.Phase == keep.Attached && rec.Attachment != nil
	})
	time.Sleep(cleanedUp)
	if now := has(t, r.Container(id("web")), "eth1"); !strings.HasSuffix(now["eth1"], " [10.0.0.1/24]") {
		t.Error(now)
	}
	if w.metrics()["failures_total"] != "0" {
		t.Error(w.metrics())
	}
}

// cleanedUp is when a cleanup has been, if it is to be.
const cleanedUp = 2500 * time.Millisecond

// TestKilledMeanwhile has a call be killed between the reading of a record and the
// plugging in.
func TestKilledMeanwhile(t *testing.T) {
	nstest.CleanHost(t)
	s := store(t)
	name, _ := nstest.Guest(t)
	rec := keep.Record{
		Version: 2, Guest: ns.Ref{Kind: ns.Netns, Name: string(name)}, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.9/24"),
		Source: keep.FromCommand, Phase: keep.Attached,
	}
	must(t, s.Put(rec))
	killed := rec
	killed.Phase, killed.Before = keep.Intent, &rec
	opened := func(word string) pipework.Target {
		return opening{words(word), func() error { return s.Put(killed) }}
	}
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s, Target: byText(opened)}})
	testwait.Eventually(t, "it is plugged in", func() bool { return w.metrics()["attachments"] == "1" })
	has(t, name, "eth1")
}

// opening is a guest that something is done to while it is opened.
type opening struct {
	pipework.Target
	do func() error
}

func (o opening) Open(ctx context.Context) (*ns.Guest, error) {
	if err := o.do(); err != nil {
		return nil, err
	}
	return o.Target.Open(ctx)
}

// TestDetachedUntilTheNextStart detaches what a label declares, whose lease is
// kept, and what was typed over a label.
func TestDetachedUntilTheNextStart(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	dhcptest.Network(t)
	dhcptest.Kea(t, 4)
	s, r := store(t), newRuntime(t)
	p := r.plugger(s)
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
	r.run("web", map[string]string{"pipework.eth1": dhcptest.Bridge + " dhcp", "pipework.eth2": "br1 10.0.0.2/24", "pipework.eth3": "br1 10.0.1.2/24"})
	web := r.Container(id("web"))
	has(t, web, "eth1", "eth2", "eth3")
	testwait.Eventually(t, "all is recorded", func() bool { return w.metrics()["attachments"] == "3" })

	detached(t, p, "docker:web", "eth2")
	typed(t, p, "br1 -i eth2 docker:web 10.0.0.3/24")
	testwait.Eventually(t, "what was typed is found", func() bool { return strings.Count(w.said.String(), "10.0.0.3/24") > 0 })
	detached(t, p, "docker:web", "eth2")
	detached(t, p, "docker:web", "eth1")
	time.Sleep(3 * time.Second) // the keeping of the lease ends
	has(t, web, "eth3")

	r.restart("web")
	if now := has(t, web, "eth1", "eth2", "eth3"); now["eth2"] != onBridge("web", "eth2", "10.0.0.2/24") {
		t.Error(now)
	}
}

// TestPhysByMAC types a NIC by its MAC, which the host does not have any more once
// it is in the guest.
func TestPhysByMAC(t *testing.T) {
	const mac = "02:00:00:00:09:09"
	makeNIC(t, "nicx", mac)
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	typed(t, r.plugger(s), "--direct-phys mac:"+mac+" docker:web 10.0.0.9/24")
	w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}})
	testwait.Eventually(t, "it is found as declared", func() bool { return w.metrics()["attachments"] == "1" })
	if w.metrics()["failures_total"] != "0" {
		t.Error(w.metrics())
	}
	w.end()
	detached(t, r.plugger(s), "docker:web", "")
}

// TestDoesNotRetryWhatIsWrong has a label that reads well and cannot be plugged in.
func TestDoesNotRetryWhatIsWrong(t *testing.T) {
	r := newRuntime(t)
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.1/24 @5000"})
	testwait.Eventually(t, "it was tried", func() bool { return w.metrics()["failures_total"] == "1" })
	time.Sleep(300 * time.Millisecond)
	if m := w.metrics(); m["failures_total"] != "1" || m["guests_failing"] != "0" {
		t.Errorf("tried again: %v", m)
	}
}

// TestManyRecords has guests start where there are many records, which are not read
// again for each of them.
func TestManyRecords(t *testing.T) {
	s, r := store(t), newRuntime(t)
	for i := range 1000 {
		name := fmt.Sprint("gone", i)
		must(t, s.Put(keep.Record{
			Guest: ns.Ref{Kind: ns.Docker, Name: name, ID: id(name)}, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"),
			Source: keep.FromCommand, Phase: keep.Attached,
		}))
	}
	for i := range 60 {
		r.run(fmt.Sprint("web", i), map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	}
	for range 2 {
		w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s}, Sources: []ns.Source{r}})
		testwait.Eventually(t, "all are plugged in", func() bool { return w.metrics()["attachments"] == "60" })
		w.end()
	}
}
