//go:build linux

package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// defaultsOf are the gateways of the guest's default routes in the main table.
func defaultsOf(t *testing.T, to pipework.Target) (list []string) {
	t.Helper()
	g, err := to.Open(t.Context())
	must(t, err)
	defer func() { _ = g.Close() }()
	inGuest(t, g, func(h *netlink.Handle) {
		routes, err := h.RouteList(nil, netlink.FAMILY_V4)
		must(t, err)
		for _, r := range routes {
			if r.Gw != nil {
				list = append(list, r.Gw.String())
			}
		}
	})
	return list
}

// TestLatestDefaultHolds declares two interfaces with gateways: the one that was declared
// last has the default route, also when the other one is made again, and after a restart;
// both are as declared, and nothing is mended.
func TestLatestDefaultHolds(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.create("web", map[string]string{"pipework.eth3": "br3 10.3.0.2/24@10.3.0.1"})
	r.begin("web")
	web, p := r.Container(id("web")), r.plugger(s)
	typed(t, p, "br2 docker:web -i eth2 10.2.0.2/24@10.2.0.1")
	typed(t, p, "br1 docker:web 10.1.0.2/24@10.1.0.1")
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	settled := func(when string) {
		t.Helper()
		has(t, web, "eth1", "eth2", "eth3")
		testwait.Eventually(t, "it is attached "+when, func() bool { return w.metrics()["attachments"] == "3" && w.metrics()["guests_failing"] == "0" })
		w.compares()
		if got := defaultsOf(t, web); !slices.Equal(got, []string{"10.1.0.1"}) {
			t.Errorf("%s the default routes go via %q", when, got)
		}
		found, err := p.Status(t.Context())
		must(t, err)
		for _, f := range found {
			if f.State != keep.AsDeclared {
				t.Errorf("%s: %s of %s is %s: %q", when, f.Interface, f.Guest, f.State, f.Details)
			}
		}
	}
	settled("at the start")
	withinOf(t, web, "eth2", func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
	testwait.Eventually(t, "it is made again", func() bool { return w.metrics()["plugged_total"] == "2" })
	settled("when one was made again")
	r.restart("web")
	testwait.Eventually(t, "all are made again", func() bool { return w.metrics()["plugged_total"] == "5" })
	settled("after a restart")
	w.end()
	w = runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "they are found", func() bool { return w.metrics()["attachments"] == "3" })
	settled("at another start")
	if m := w.metrics(); m["mended_total"] != "0" || m["found_total"] != "3" || strings.Contains(w.said.String(), "not as declared") {
		t.Errorf("another start changed something: %v", m)
	}
}

// TestLostCopies has the root of a container delete the copy of a default route that was
// displaced, by a typed line and by a label: it is kept again, also by another Watcher.
func TestLostCopies(t *testing.T) {
	const line = "br1 10.1.0.2/24@10.1.0.1"
	for name, labels := range map[string]map[string]string{"typed": nil, "label": {"pipework.eth1": line}} {
		t.Run(name, func(t *testing.T) {
			s, r := store(t), newRuntime(t)
			r.create("web", labels)
			r.begin("web")
			web, p := r.Container(id("web")), r.plugger(s)
			g, err := web.Open(t.Context())
			must(t, err)
			defer func() { _ = g.Close() }()
			nstest.Uplink(t, g)
			if labels == nil {
				typed(t, p, "br1 docker:web 10.1.0.2/24@10.1.0.1")
			}
			displaced := func() []string {
				at, err := pipework.Check(t.Context(), web, pipework.Spec{})
				must(t, err)
				return at.Displaced
			}
			for range 2 {
				w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
				testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
				before := displaced()
				inGuest(t, g, func(h *netlink.Handle) {
					l := linkOf(t, h, "eth1")
					routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: 1<<31 + l.Attrs().Index}, netlink.RT_FILTER_TABLE)
					must(t, err)
					for _, route := range routes {
						must(t, h.RouteDel(&route))
					}
				})
				testwait.Eventually(t, "all is kept again", func() bool { return slices.Equal(displaced(), before) })
				w.end()
			}
		})
	}
}
