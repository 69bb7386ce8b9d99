//go:build linux

package watch_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// addr is what plugged says of an interface on br1 that the Watcher chose a MAC
// for.
func onBridge(guest, iface, addrs string) string {
	return "bridge:br1 " + watch.StableMAC("this machine", guest, iface).String() + " [" + addrs + "]"
}

func TestPlugsInWhatLabelsDeclare(t *testing.T) {
	r := newRuntime(t)
	r.run("early", map[string]string{"pipework.eth1": "br1 10.0.0.1/24"}) // before we look
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	has(t, r.Container(id("early")), "eth1")
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24", "pipework.lan": "br1 10.0.1.2/24 02:00:00:00:00:07", "pipework.bad": "br1"})
	want := map[string]string{"eth1": onBridge("web", "eth1", "10.0.0.2/24"), "lan": "bridge:br1 02:00:00:00:00:07 [10.0.1.2/24]"}
	for range 3 {
		if diff := cmp.Diff(want, has(t, r.Container(id("web")), "eth1", "lan")); diff != "" {
			t.Error(diff)
		}
		r.restart("web")
	}
	has(t, r.Container(id("web")), "eth1", "lan")
	r.run("plain", nil)
	testwait.Eventually(t, "only guests with something declared are remembered", func() bool {
		return w.metrics()["guests"] == "2" && w.metrics()["attachments"] == "3"
	})
	if !strings.Contains(w.said.String(), `declared="label pipework.bad"`) {
		t.Error("nothing is said of the bad label")
	}
	r.remove("web")
	testwait.Eventually(t, "a removed container is forgotten", func() bool { return w.metrics()["guests"] == "1" })
}

func TestSynchronisesWhenTheStreamBreaks(t *testing.T) {
	r := newRuntime(t)
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	has(t, r.Container(id("web")), "eth1")
	r.kill("web")
	r.begin("web") // and nobody tells
	r.cut()
	has(t, r.Container(id("web")), "eth1")
	m := w.metrics()
	if m[`synchronisations_total{source="test"}`] != "2" || m[`source_failures_total{source="test"}`] != "1" || w.Healthy() != nil {
		t.Errorf("%v, %v", m, w.Healthy())
	}
}

// TestWaitsForTheBridge has a NIC come up late: attempts become rarer, and the
// last one succeeds.
func TestWaitsForTheBridge(t *testing.T) {
	r := newRuntime(t)
	r.run("web", map[string]string{"pipework.eth1": "late 10.0.0.2/24"})
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	time.Sleep(500 * time.Millisecond)
	failures := w.metrics()["failures_total"]
	if !slices.Contains([]string{"2", "3", "4", "5"}, failures) || w.metrics()["guests_failing"] != "1" {
		t.Errorf("%s attempts in half a second; %v", failures, w.metrics())
	}
	if n := strings.Count(w.said.String(), "not plugged in"); n != 1 {
		t.Errorf("said %d times", n)
	}
	makeBridge(t, "late")
	has(t, r.Container(id("web")), "eth1")
	testwait.Eventually(t, "it does not fail any longer", func() bool { return w.metrics()["guests_failing"] == "0" })
}

func makeBridge(t *testing.T, name string) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	a := netlink.NewLinkAttrs()
	a.Name = name
	if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: a}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nstest.DelLink(t, name) })
}

func TestHonoursOnlyWhatIsPermitted(t *testing.T) {
	r := newRuntime(t)
	makeBridge(t, "secret")
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Declarations: config.Declarations{Allow: config.Allow{"br*"}}})
	labels := map[string]string{"pipework.eth1": "br1 10.0.0.2/24", "pipework.eth2": "secret 10.0.1.2/24", "pipework.eth3": "br1 10.0.2.2/24"}
	r.mu.Lock()
	r.containers[id("web")] = &container{Container: ns.Container{
		ID: id("web"), Name: "web", ImageKnown: true, Labels: labels, ImageLabels: map[string]string{"pipework.eth3": labels["pipework.eth3"]},
	}}
	r.mu.Unlock()
	r.start("web")
	has(t, r.Container(id("web")), "eth1")
	testwait.Eventually(t, "it is said why", func() bool {
		return strings.Contains(w.said.String(), "the host's interface secret may not be asked for: --allow permits br*")
	})
	time.Sleep(200 * time.Millisecond)
	has(t, r.Container(id("web")), "eth1")
	if w.metrics()["guests_failing"] != "0" || w.metrics()["failures_total"] != "1" {
		t.Errorf("what is forbidden is tried again: %v", w.metrics())
	}
}

// TestRecordsHoldUntilDetach has a namespace that has no process whose end could be
// heard of.
func TestRecordsHoldUntilDetach(t *testing.T) {
	nstest.CleanHost(t)
	s := store(t)
	remove, err := sandbox.Namespace("blue")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = remove() })
	spec := pipework.Spec{Link: link.Bridge{Name: "br1"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24")}}
	at, err := pipework.Attach(t.Context(), ns.Named("blue"), spec)
	if err != nil {
		t.Fatal(err)
	}
	unforwarded := spec
	unforwarded.Link = link.Bridge{Name: "br1", Firewall: link.FirewallLeave}
	rec := keep.Record{
		Guest: ns.ParseRef("netns:blue"), Interface: "eth1", Spec: unforwarded,
		Source: keep.FromCommand, Phase: keep.Attached, Attachment: at,
	}
	if err := s.Put(rec); err != nil {
		t.Fatal(err)
	}
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s, Target: byText(words)}, Poll: 20 * time.Millisecond})
	testwait.Eventually(t, "the record is found to hold", func() bool { return w.metrics()["attachments"] == "1" })
	first := has(t, ns.Named("blue"), "eth1")

	if err := remove(); err != nil {
		t.Fatal(err)
	}
	remove, err = sandbox.Namespace("blue")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, has(t, ns.Named("blue"), "eth1")); diff != "" {
		t.Errorf("with another MAC, or address:\n%s", diff)
	}

	unlock, err := s.Lock(t.Context(), ns.ParseRef("netns:blue"), "eth1") // as detach does
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ns.ParseRef("netns:blue"), "eth1"); err != nil {
		t.Fatal(err)
	}
	unlock()
	testwait.Eventually(t, "a record that is gone is forgotten", func() bool { return w.metrics()["guests"] == "0" })
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	remove, err = sandbox.Namespace("blue")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	has(t, ns.Named("blue"))
}

// TestRecordOfAContainer is typed while the daemon runs, and holds also for the
// container that takes the place of the first.
func TestRecordOfAContainer(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s}, Sources: []ns.Source{r}})
	has(t, r.Container(id("web")), "eth1")
	testwait.Eventually(t, "what labels declare is recorded", func() bool {
		rec, err := s.Get(ns.ParseRef("docker:web"), "eth1")
		return err == nil && rec.Source == keep.FromLabel && rec.Attachment.MAC.String() == watch.StableMAC("this machine", "web", "eth1").String()
	})
	err := s.Put(keep.Record{
		Guest: ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, Interface: "eth2", Spec: onBridgeSpec("br1", "10.0.1.2/24"),
		Source: keep.FromCommand, Phase: keep.Attached,
	})
	if err != nil {
		t.Fatal(err)
	}
	first := has(t, r.Container(id("web")), "eth1", "eth2")
	r.restart("web")
	if diff := cmp.Diff(first, has(t, r.Container(id("web")), "eth1", "eth2")); diff != "" {
		t.Error(diff)
	}
	r.remove("web")
	testwait.Eventually(t, "the record of the label goes with the container", func() bool {
		_, err := s.Get(ns.ParseRef("docker:web"), "eth1")
		return err != nil
	})
	if _, err := s.Get(ns.ParseRef("docker:web"), "eth2"); err != nil {
		t.Error("what was typed holds until it is detached:", err)
	}
	if w.metrics()["attachments"] != "0" {
		t.Error(w.metrics())
	}
}

// TestDetachedMeanwhile has a detach come between the reading of a record and the
// plugging in.
func TestDetachedMeanwhile(t *testing.T) {
	s := store(t)
	name, _ := nstest.Guest(t)
	rec := keep.Record{
		Guest: ns.Ref{Kind: ns.Netns, Name: string(name)}, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.9/24"),
		Source: keep.FromCommand, Phase: keep.Attached,
	}
	if err := s.Put(rec); err != nil {
		t.Fatal(err)
	}
	opened := func(word string) pipework.Target { return late{words(word), s, word} }
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s, Target: byText(opened)}})
	testwait.Eventually(t, "it is told", func() bool { return strings.Contains(w.said.String(), "it was detached meanwhile") })
	if n := w.metrics()["plugged_total"]; n != "" && n != "0" {
		t.Errorf("plugged in: %s", n)
	}
	has(t, name)
	if _, err := s.Get(rec.Guest, "eth1"); err == nil {
		t.Error("the record is back")
	}
}

// late is a guest that is detached while it is opened.
type late struct {
	pipework.Target
	s    *keep.Store
	word string
}

func (l late) Open(ctx context.Context) (*ns.Guest, error) {
	if err := l.s.Delete(ns.ParseRef(l.word), "eth1"); err != nil {
		return nil, err
	}
	return l.Target.Open(ctx)
}

// TestProcessIsNotMistaken has a record of a PID that belongs to another process
// by now.
func TestProcessIsNotMistaken(t *testing.T) {
	s := store(t)
	p := nstest.Process(t)
	rec := keep.Record{
		Guest: ns.ParseRef("pid:1"), Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.9/24"), Source: keep.FromCommand, Phase: keep.Attached,
	}
	if err := s.Put(rec); err != nil {
		t.Fatal(err)
	}
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s, Target: func(ns.Ref) pipework.Target { return ns.PID(p.PID) }}})
	testwait.Eventually(t, "it was looked at", func() bool { return w.metrics()["failures_total"] == "1" })
	has(t, ns.PID(p.PID))
}

func TestKeepsLeases(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	dhcptest.Network(t)
	dhcptest.Kea(t, 4)
	r := newRuntime(t)
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	r.run("web", map[string]string{"pipework.eth1": dhcptest.Bridge + " dhcp"})
	first := has(t, r.Container(id("web")), "eth1")
	renewed := func() bool { return w.metrics()[`leases_total{event="renewed"}`] != "" }
	testwait.Eventually(t, "the lease is renewed", renewed)
	r.restart("web")
	if diff := cmp.Diff(first, has(t, r.Container(id("web")), "eth1")); diff != "" {
		t.Errorf("another lease:\n%s", diff)
	}
}

// TestCollects has what dead guests left behind go away.
func TestCollects(t *testing.T) {
	r := newRuntime(t)
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	has(t, r.Container(id("web")), "eth1")
	r.kill("web") // and nobody tells
	testwait.Eventually(t, "the bridge is gone", func() bool { return nstest.NoLink(t, "br1") == nil })
	testwait.Eventually(t, "it was counted", func() bool { return w.metrics()["collected_total"] == "1" && w.metrics()["deaths_total"] == "1" })
	r.start("web")
	has(t, r.Container(id("web")), "eth1")
}

func TestTellsSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "40000")
	t.Setenv("WATCHDOG_PID", "")
	r := newRuntime(t)
	r.run("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	notify, watchdog := watch.Systemd()
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Notify: notify, Watchdog: watchdog})
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 1000)
		for end := time.Now().Add(5 * time.Second); ; {
			_ = l.SetReadDeadline(end)
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("no %s: %v", want, err)
			}
			if strings.HasPrefix(string(buf[:n]), want) {
				return
			}
		}
	}
	hear("READY=1\n")
	if len(plugged(t, r.Container(id("web")))) != 1 {
		t.Error("ready before everything is plugged in")
	}
	hear("WATCHDOG=1")
	w.end()
	hear("STOPPING=1")

	t.Setenv("WATCHDOG_PID", "1")
	if _, watchdog := watch.Systemd(); watchdog != 0 {
		t.Error("another process's watchdog")
	}
	_ = os.Unsetenv("NOTIFY_SOCKET")
	if notify, _ := watch.Systemd(); notify != nil {
		t.Error("there is nobody to tell")
	}
}
