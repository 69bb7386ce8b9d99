//go:build linux

package watch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// inFile is a Spec with what no command line can say.
const inFile = `{
	"link": {"bridge": {"name": "br1", "isolated": true}},
	"name": "lan0", "mtu": 1400,
	"addrs": ["10.0.0.2/24"],
	"routes": [
		{"dst": "10.8.0.0/16", "via": "10.0.0.1", "metric": 100},
		{"dst": "10.8.0.0/16", "via": "10.0.0.9", "metric": 200},
		{"dst": "0.0.0.0/0", "via": "10.0.0.1", "table": 7}
	],
	"rules": [{"priority": 50, "from": "10.0.0.2/32", "table": 7}],
	"egress": {"rate": 8000000},
	"ingress": {"rate": 16000000}
}`

// inGo is the same, but for the shaping that a link without an end on the host can not
// have.
func inGo(l link.Backend) pipework.Spec {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	s := pipework.Spec{
		Link: l, Name: "lan0", MTU: 1400, Addrs: []netip.Prefix{prefix("10.0.0.2/24")},
		Routes: []link.Route{
			{Dst: prefix("10.8.0.0/16"), Via: addr("10.0.0.1"), Metric: 100},
			{Dst: prefix("10.8.0.0/16"), Via: addr("10.0.0.9"), Metric: 200},
			{Dst: prefix("0.0.0.0/0"), Via: addr("10.0.0.1"), Table: 7},
		},
		Rules:  []link.Rule{{Priority: 50, From: prefix("10.0.0.2/32"), Table: 7}},
		Egress: &link.Shaping{Rate: 8_000_000},
	}
	if _, is := l.(link.Bridge); is {
		s.Ingress = &link.Shaping{Rate: 16_000_000}
	}
	return s
}

// TestSpecsComeBack declares Specs with what no command line can say, from Go and from a
// file: after a restart of the container, and of the daemon, all of it is back.
func TestSpecsComeBack(t *testing.T) {
	read, err := config.ParseSpec([]byte(inFile), link.Kinds()...)
	must(t, err)
	specs := map[string]pipework.Spec{"file": read, "Go": inGo(link.Bridge{Name: "br1", Isolated: true})}
	if os.Getenv("PIPEWORK_LANE") == "uml" { // whose kernel has it
		specs = map[string]pipework.Spec{"ipvlan": inGo(link.Ipvlan{Parent: "nicx"})}
		makeNIC(t, "nicx", "02:00:00:00:09:09")
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) { comesBack(t, spec) })
	}
}

func comesBack(t *testing.T, spec pipework.Spec) {
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	web, p := r.Container(id("web")), r.plugger(s)
	guest := ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}
	_, _, err := p.Attach(t.Context(), guest, keep.Declared{Spec: spec})
	must(t, err)
	first := stateOf(t, web)
	if len(first) < 5 {
		t.Fatalf("it has %q", first)
	}
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })
	back := func(t *testing.T) {
		t.Helper()
		has(t, web, "lan0")
		if diff := cmp.Diff(first, stateOf(t, web)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if at, err := pipework.Check(t.Context(), web, spec); err != nil || len(at.Drifts) > 0 {
			t.Errorf("%+v, %v", at, err)
		}
	}
	r.restart("web")
	back(t)
	w.end()
	r.kill("web")
	r.start("web")
	runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
	back(t)
	found, err := p.Status(t.Context())
	if err != nil || len(found) != 1 || found[0].State != keep.AsDeclared || found[0].Spec.MTU != 1400 {
		t.Errorf("%+v, %v", found, err)
	}
	changed := spec
	changed.MTU = 1300
	if _, _, err := p.Attach(t.Context(), guest, keep.Declared{Spec: changed}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another Spec: %v", err)
	}
	if rec, err := s.Get(guest, "lan0"); err != nil || rec.Spec.MTU != 1400 {
		t.Errorf("recorded: %+v, %v", rec, err)
	}
	detached(t, p, "docker:web", "lan0")
	has(t, web)
}

// stateOf is the MTU, the addresses, routes and rules of the guest's lan0, and its
// queueing disciplines.
func stateOf(t *testing.T, to pipework.Target) (lines []string) {
	t.Helper()
	g, err := to.Open(t.Context())
	must(t, err)
	defer func() { _ = g.Close() }()
	unlock, err := g.RLock(t.Context(), 10*time.Second)
	must(t, err)
	defer unlock()
	inGuest(t, g, func(h *netlink.Handle) {
		l := linkOf(t, h, "lan0")
		lines = append(lines, fmt.Sprint(l.Type(), " ", l.Attrs().MTU, " ", l.Attrs().HardwareAddr))
		for _, table := range []int{0, 7} {
			routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: table, LinkIndex: l.Attrs().Index}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
			must(t, err)
			for _, r := range routes {
				lines = append(lines, fmt.Sprintf("%v via %v metric %d table %d", r.Dst, r.Gw, r.Priority, r.Table))
			}
		}
		rules, err := h.RuleList(netlink.FAMILY_V4)
		must(t, err)
		for _, r := range rules {
			lines = append(lines, r.String())
		}
		shapes, err := h.QdiscList(l)
		must(t, err)
		for _, q := range shapes {
			lines = append(lines, fmt.Sprintf("%s %v", q.Type(), shape(q)))
		}
	})
	slices.Sort(lines)
	return lines
}

// shape is a queueing discipline without what the kernel numbers.
func shape(q netlink.Qdisc) string {
	switch q := q.(type) {
	case *netlink.Tbf:
		return fmt.Sprint(q.Rate)
	case *netlink.Netem:
		return fmt.Sprint(q.Latency)
	}
	return ""
}

// TestRecordOfALineComesBack has records of version 1: they come back as their lines
// say, and are of version 2 then.
func TestRecordOfALineComesBack(t *testing.T) {
	for _, row := range []struct{ name, attachment string }{
		{"made", `, "attachment": {"link": "bridge:br1", "mac": "02:00:00:00:00:07"}`}, {"link unknown", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, r := store(t), newRuntime(t)
			r.run("web", nil)
			guest := ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}
			must(t, s.Put(keep.Record{Guest: guest, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"), Source: keep.FromCommand, Phase: keep.Attached}))
			outdate(t, s, `{"version": 1, "guest": "docker:web", "guest_id": "`+id("web")+`", "interface": "eth1", "source": "command", "phase": "attached",
				"line": ["--no-forward", "br1", "-l", "vweb", "docker:web", "10.0.0.8/24,10.0.0.9/24@10.0.0.254"]`+row.attachment+`}`)
			p := r.plugger(s)
			runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
			testwait.Eventually(t, "it is written anew", func() bool {
				rec, err := s.Get(guest, "eth1")
				return err == nil && rec.Version == 2
			})
			now := has(t, r.Container(id("web")), "eth1")
			if row.attachment != "" && !strings.HasPrefix(now["eth1"], "bridge:br1 02:00:00:00:00:07 ") || !strings.HasSuffix(now["eth1"], " [10.0.0.8/24 10.0.0.9/24]") {
				t.Error(now)
			}
			rec, err := s.Get(guest, "eth1")
			must(t, err)
			want := pipework.Spec{
				Link: link.Bridge{Name: "br1", HostName: "vweb", Firewall: link.FirewallLeave}, Name: "eth1", Addrs: addrs("10.0.0.8/24", "10.0.0.9/24"),
				Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.254")},
			}
			if diff := cmp.Diff(want, rec.Spec, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			detached(t, p, "docker:web", "")
		})
	}
}

// TestFollowsTheMAC types a NIC by its MAC, and gives it another name while the container
// is down.
func TestFollowsTheMAC(t *testing.T) {
	const mac = "02:00:00:00:09:09"
	makeNIC(t, "nicx", mac)
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	p := r.plugger(s)
	typed(t, p, "mac:"+mac+" docker:web 10.0.0.9/24")
	r.kill("web")
	h, err := netlink.NewHandle()
	must(t, err)
	defer h.Close()
	nic := linkOf(t, h, "nicx")
	must(t, errors.Join(h.LinkSetDown(nic), h.LinkSetName(nic, "nicy"), h.LinkSetUp(nic)))
	runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
	r.start("web")
	if now := has(t, r.Container(id("web")), "eth1"); !strings.HasPrefix(now["eth1"], "macvlan:nicy ") {
		t.Error(now)
	}
	testwait.Eventually(t, "it is as declared", func() bool {
		found, err := p.Status(t.Context())
		return err == nil && len(found) == 1 && found[0].State == keep.AsDeclared
	})
}

// TestAddedToASpec types a further line for what a file declared: both are back after a
// restart of the daemon, and of the container.
func TestAddedToASpec(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	web, p := r.Container(id("web")), r.plugger(s)
	_, _, err := p.Attach(t.Context(), ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, keep.Declared{Spec: inGo(link.Bridge{Name: "br1"})})
	must(t, err)
	typed(t, p, "br1 -i lan0 docker:web 10.0.0.3/24")
	first := stateOf(t, web)
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
	testwait.Eventually(t, "it is found", func() bool { return w.metrics()["attachments"] == "1" })
	r.restart("web")
	if now := has(t, web, "lan0"); now["lan0"] == "" || w.metrics()["failures_total"] != "0" {
		t.Error(now, w.metrics())
	}
	if diff := cmp.Diff(first, stateOf(t, web)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	found, err := p.Status(t.Context())
	if err != nil || len(found) != 1 || found[0].State != keep.AsDeclared || len(found[0].Spec.Addrs) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
}

// forgetting is a runtime whose containers lose a record while they are opened.
type forgetting struct {
	*runtime
	s     *keep.Store
	guest ns.Ref
}

func (f forgetting) Container(name string) ns.Target {
	return opening{f.runtime.Container(name), func() error { return f.s.Delete(f.guest, "eth1") }}
}

// TestDetachedOverALabel has what was typed over a label be detached between the reading
// of its record and the plugging in: the label waits for the next start.
func TestDetachedOverALabel(t *testing.T) {
	s, r := store(t), newRuntime(t)
	guest := ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}
	rec := keep.Record{Guest: guest, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.3/24"), Source: keep.FromCommand, Phase: keep.Attached}
	must(t, s.Put(rec))
	r.create("web", map[string]string{"pipework.eth1": "br1 10.0.0.2/24"})
	r.begin("web") // a start that is told of late would count as the next one
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s}, Sources: []ns.Source{forgetting{r, s, guest}}})
	testwait.Eventually(t, "it is taken away", func() bool { return strings.Contains(w.said.String(), "it was detached meanwhile") })
	rec.Interface = "eth3" // which has the guest be looked at again
	must(t, s.Put(rec))
	has(t, r.Container(id("web")), "eth3")
}
