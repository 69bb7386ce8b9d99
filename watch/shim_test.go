//go:build linux

package watch_test

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
	"github.com/go-pipework/pipework/watch"
)

// TestKeepsShims makes the shim again of which only the record is left, has it follow guests that
// start and are detached, and lets one go that is undone.
func TestKeepsShims(t *testing.T) {
	makeNIC(t, "nicx", "02:00:00:00:00:09")
	s := store(t)
	shim := uplink.Shim{NIC: "nicx", Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}, Store: s}
	_, err := shim.Add(t.Context())
	must(t, err)
	nstest.DelLink(t, "shim-nicx")

	r := newRuntime(t)
	runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Plugger: keep.Plugger{Store: s}})
	r.run("web", map[string]string{"pipework.lan": "nicx 10.0.0.2/24"})
	routed := func(what string, is bool) {
		t.Helper()
		testwait.Eventually(t, what, func() (done bool) {
			onTheHost(t, func(h *netlink.Handle) error {
				l, err := h.LinkByName("shim-nicx")
				if err != nil {
					return nil
				}
				routes, err := nstest.Whole(func() ([]netlink.Route, error) { return h.RouteList(l, netlink.FAMILY_V4) })
				done = (len(routes) == 1) == is
				return err
			})
			return done
		})
	}
	routed("a route to the guest", true)
	nstest.DelLink(t, "shim-nicx")
	routed("a route to the guest, again", true)
	r.restart("web")
	routed("a route to the guest, once it has started again", true)
	r.remove("web")
	routed("no route", false)
	_, err = shim.Remove(t.Context())
	must(t, err)
}
