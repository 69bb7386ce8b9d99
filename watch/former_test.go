//go:build linux

package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestTakesFromFormerNamespace restarts containers whose network namespace somebody else
// keeps, as a container that shares the network does: what they had there goes, and the new
// start has it.
func TestTakesFromFormerNamespace(t *testing.T) {
	makeNIC(t, "nicx", "02:00:00:00:09:09")
	for name, line := range map[string]string{"bridge": "br1 10.0.0.2/24", "macvlan": "nicx 10.0.0.2/24"} {
		t.Run(name, func(t *testing.T) {
			s, r := store(t), newRuntime(t)
			r.create("web", map[string]string{"pipework.eth1": line})
			r.begin("web")
			w := runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}})
			testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
			web := r.Container(id("web"))
			was := has(t, web, "eth1")
			g, err := web.Open(t.Context())
			must(t, err)
			defer func() { _ = g.Close() }()
			r.restart("web")
			if now := has(t, web, "eth1"); now["eth1"] != was["eth1"] {
				t.Errorf("it has %q, and had %q", now, was)
			}
			inGuest(t, g, func(h *netlink.Handle) {
				if l, err := h.LinkByName("eth1"); err == nil {
					t.Errorf("the namespace of before has %v %v", l.Attrs().Name, l.Attrs().HardwareAddr)
				}
			})
			if !strings.Contains(w.said.String(), "taken from the network namespace that the guest had before") || w.metrics()["failures_total"] != "0" {
				t.Error("it was not told, or something failed")
			}
			w.end()
			r.remove("web")
		})
	}
}

// TestPairFollowsItsPeer restarts the other guest of a pair, whose network namespace of before
// ends with it, or is kept: the pair leads to its present one with all that was typed, and no comparison is waited for.
func TestPairFollowsItsPeer(t *testing.T) {
	for name, kept := range map[string]bool{"ends": false, "is kept": true} {
		t.Run(name, func(t *testing.T) {
			s, r := store(t), newRuntime(t)
			for _, name := range []string{"db", "web"} {
				r.create(name, nil)
				r.begin(name)
			}
			p := r.plugger(s)
			typed(t, p, "veth:docker:db/eth5 docker:web 10.9.0.1/30@10.9.0.2")
			typed(t, p, "veth:docker:db/eth5 docker:web 10.9.8.1/24")
			w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: time.Hour})
			testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })
			db := r.Container(id("db"))
			was, err := db.Open(t.Context())
			must(t, err)
			defer func() { _ = was.Close() }()
			if !kept {
				must(t, was.Close())
			}
			r.restart("db")
			testwait.Eventually(t, "it leads to the new start", func() bool {
				found, err := p.Status(t.Context())
				return err == nil && len(found) == 1 && found[0].State == keep.AsDeclared && len(found[0].Attachment.Addrs) == 2
			})
			if kept {
				inGuest(t, was, func(h *netlink.Handle) {
					if _, err := h.LinkByName("eth5"); err == nil {
						t.Error("the namespace of before has an end yet")
					}
				})
			}
			if w.metrics()["failures_total"] != "0" {
				t.Error("something failed")
			}
			w.end()
		})
	}
}
