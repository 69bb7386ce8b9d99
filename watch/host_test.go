//go:build linux

package watch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/watch"
)

// onTheHost changes links of the host, as netplan and people do.
func onTheHost(t *testing.T, change func(*netlink.Handle) error) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	must(t, err)
	defer h.Close()
	must(t, change(h))
}

// remakeBridge deletes a bridge and makes it anew, as `netplan apply` does.
func remakeBridge(t *testing.T, name string) {
	t.Helper()
	onTheHost(t, func(h *netlink.Handle) error {
		if err := h.LinkDel(linkOf(t, h, name)); err != nil {
			return err
		}
		a := netlink.NewLinkAttrs()
		a.Name = name
		b := &netlink.Bridge{LinkAttrs: a}
		if err := h.LinkAdd(b); err != nil {
			return err
		}
		return h.LinkSetUp(b)
	})
}

// hostDrifts are what happens on the host, and in the guest, under one that runs.
var hostDrifts = map[string]struct {
	line   string
	happen func(t *testing.T, web pipework.Target)
}{
	"bridge made anew": {"br9 docker:web 10.0.0.2/24", func(t *testing.T, _ pipework.Target) { remakeBridge(t, "br9") }},
	"parent made anew": {"nicx docker:web 10.0.0.2/24", func(t *testing.T, _ pipework.Target) {
		nstest.DelLink(t, "nicx-wire")
		makeHalf(t, "nicx")
	}},
	"taken from its bridge": {"br9 docker:web 10.0.0.2/24", func(t *testing.T, web pipework.Target) {
		onTheHost(t, func(h *netlink.Handle) error { return h.LinkSetNoMaster(linkOf(t, h, hostEndOf(t, web))) })
	}},
	"the host's end is gone": {"br9 docker:web 10.0.0.2/24", func(t *testing.T, web pipework.Target) { nstest.DelLink(t, hostEndOf(t, web)) }},
	"long news, then its bridge made anew": {"br9 docker:web 10.0.0.2/24", func(t *testing.T, _ pipework.Target) {
		manyNames(t, "nicx")
		remakeBridge(t, "br9")
	}},
	"the guest's end flaps": {"br9 docker:web fd00::2/64", func(t *testing.T, web pipework.Target) {
		within(t, web, func(h *netlink.Handle, l netlink.Link) error { return errors.Join(h.LinkSetDown(l), h.LinkSetUp(l)) })
	}},
	"the guest's end is down": {"br9 docker:web 10.0.0.2/24@10.0.0.1", func(t *testing.T, web pipework.Target) {
		within(t, web, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
	}},
	"its pin is taken away": {"--pin br9 docker:web 10.0.0.2/24", func(t *testing.T, web pipework.Target) {
		onTheHost(t, func(h *netlink.Handle) error {
			clsact := netlink.QdiscAttrs{LinkIndex: linkOf(t, h, hostEndOf(t, web)).Attrs().Index, Handle: 0xffff0000, Parent: netlink.HANDLE_CLSACT}
			return h.QdiscDel(&netlink.GenericQdisc{QdiscAttrs: clsact, QdiscType: "clsact"})
		})
	}},
	"the host's end is down": {"br9 docker:web 10.0.0.2/24", func(t *testing.T, web pipework.Target) {
		onTheHost(t, func(h *netlink.Handle) error { return h.LinkSetDown(linkOf(t, h, hostEndOf(t, web))) })
	}},
}

// makeHalf makes a NIC of the host's, which makeNIC made for the length of the test.
func makeHalf(t *testing.T, name string) {
	t.Helper()
	onTheHost(t, func(h *netlink.Handle) error {
		a := netlink.NewLinkAttrs()
		a.Name = name
		nic := &netlink.Veth{LinkAttrs: a, PeerName: name + "-wire"}
		if err := h.LinkAdd(nic); err != nil {
			return err
		}
		return h.LinkSetUp(nic)
	})
}

// manyNames gives a link so many alternative names that what the kernel tells of it does not
// fit into 64 KiB, and has it tell. It is made anew before the test cleans its host: package net
// does not see the links behind such a one in a list.
func manyNames(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() {
		nstest.DelLink(t, name+"-wire")
		makeHalf(t, name)
	})
	onTheHost(t, func(h *netlink.Handle) error {
		l := linkOf(t, h, name)
		for n := range 490 {
			if err := h.LinkAddAltName(l, fmt.Sprintf("%0127d", n)); err != nil {
				return err
			}
		}
		if err := h.LinkSetDown(l); err != nil {
			return err
		}
		return h.LinkSetUp(l)
	})
}

func hostEndOf(t *testing.T, web pipework.Target) string {
	t.Helper()
	at, err := pipework.Check(t.Context(), web, pipework.Spec{})
	must(t, err)
	return at.HostName
}

// mendedSoon has all of the guest be as declared again.
func mendedSoon(t *testing.T, p keep.Plugger) {
	t.Helper()
	testwait.Eventually(t, "all is as declared", func() bool {
		found, err := p.Status(t.Context())
		return err == nil && len(found) == 1 && found[0].State == keep.AsDeclared
	})
}

// TestMendsWhatTheHostDoes sees to what happens under a running guest: by comparing it.
func TestMendsWhatTheHostDoes(t *testing.T) {
	for name, row := range hostDrifts {
		t.Run(name, func(t *testing.T) {
			mendsWhat(t, row.line, row.happen, 20*time.Millisecond)
		})
	}
	t.Run("address flushed", func(t *testing.T) {
		mendsWhat(t, "br9 docker:web 10.0.0.2/24", func(t *testing.T, web pipework.Target) { withoutAddr(t, web, "10.0.0.2/24") }, 20*time.Millisecond)
	})
}

// TestHearsOfTheHost sees to what happens on the host within seconds, long before it compares.
func TestHearsOfTheHost(t *testing.T) {
	for name, row := range hostDrifts {
		t.Run(name, func(t *testing.T) { mendsWhat(t, row.line, row.happen, time.Hour) })
	}
}

// TestDoesNotFight has something on the host take away the host's end as soon as it is there:
// it is made again less and less often.
func TestDoesNotFight(t *testing.T) {
	r := newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "br9 10.0.0.2/24"})
	r.begin("web")
	web := r.Container(id("web"))
	w := runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}, Resync: time.Hour})
	testwait.Eventually(t, "it is attached", func() bool { return w.metrics()["attachments"] == "1" })
	for begun := time.Now(); time.Since(begun) < 4*time.Second; time.Sleep(10 * time.Millisecond) {
		if len(plugged(t, web)) > 0 {
			nstest.DelLink(t, hostEndOf(t, web))
		}
	}
	if n := w.metrics()["plugged_total"]; n != "2" && n != "3" && n != "4" { // after 0.5, 1 and 2 s
		t.Errorf("it was plugged in %s times", n)
	}
	w.end()
	r.remove("web")
}

// mendsWhat has something happen to what the line plugged in, under a Watcher.
func mendsWhat(t *testing.T, line string, happen func(*testing.T, pipework.Target), resync time.Duration) {
	t.Helper()
	makeNIC(t, "nicx", "02:00:00:00:09:09")
	s, r := store(t), newRuntime(t)
	r.create("web", nil)
	r.begin("web")
	web, p := r.Container(id("web")), r.plugger(s)
	typed(t, p, line)
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: resync})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })
	happen(t, web)
	mendedSoon(t, p)
	testwait.Eventually(t, "it is settled", func() bool { m := w.metrics(); return m["attachments"] == "1" && m["guests_failing"] == "0" })
	detached(t, p, "docker:web", "eth1")
	w.end()
}

// TestMendsOpenVSwitch has a port, and a row of an interface, vanish under a running guest.
func TestMendsOpenVSwitch(t *testing.T) {
	db := ovstest.Start(t)
	db.Switch(t, ovstest.Dummy, nil)
	db.Vsctl(t, "add-br", "ovs1", "--", "set", "bridge", "ovs1", "datapath_type=dummy")
	client := &ovs.Client{Endpoint: db.Endpoint}
	s, r := store(t), newRuntime(t)
	r.create("web", nil)
	r.begin("web")
	p := r.plugger(s)
	p.OVS = client
	spec := onBridgeSpec("", "10.0.0.2/24")
	spec.Link = ovs.Bridge{Name: "ovs1"}
	at, _, err := p.Attach(t.Context(), ns.ParseRef("docker:web"), keep.Declared{Spec: spec})
	must(t, err)
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Resync: 20 * time.Millisecond})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })
	db.Vsctl(t, "del-port", at.HostName)
	testwait.Eventually(t, "the port is back", func() bool { return strings.Contains(db.Vsctl(t, "list-ports", "ovs1"), at.HostName) })
	mendedSoon(t, p)
	detached(t, p, "docker:web", "eth1")
	w.end()
}
