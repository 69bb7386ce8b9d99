//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/pintest"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A scene is a bridge with a guest that is not trusted, and a neighbour that hears what leaves it.
type scene struct {
	t          *testing.T
	db         *ovstest.Database
	bridge     ovs.Bridge
	target, at ns.Named
	eve, near  *ns.Guest
	neighbour  pipework.Spec
	vswitchd   *ovstest.Process
	world      *nstest.World
}

// userspace is a scene where there is one.
func userspace(t *testing.T) *scene { return newScene(t, ovstest.Userspace, ovs.Netdev) }

func newScene(t *testing.T, d ovstest.Datapath, setting string) *scene {
	pintest.Unfiltered(t)
	s := &scene{t: t, db: ovstest.Start(t)}
	s.vswitchd = s.db.Switch(t, d, nil)
	s.db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type="+setting)
	s.bridge = ovs.Bridge{Name: "lan", Client: shared(t, s.db)}
	s.target, s.eve = nstest.Guest(t)
	s.at, s.near = nstest.Guest(t)
	s.neighbour = pipework.Spec{Link: s.bridge, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24"), netip.MustParsePrefix("fd01::1/64")}}
	attach(t, s.at, s.neighbour)
	s.world = nstest.Observe(t, s.eve.Handle, s.near.Handle)
	unchanged(t, s.db)
	return s
}

// spec is that of the guest that is not trusted.
func (s *scene) spec() pipework.Spec {
	return pipework.Spec{Link: s.bridge, MAC: pintest.EveMAC, Pin: true, Addrs: []netip.Prefix{netip.PrefixFrom(pintest.Eve4, 24), netip.PrefixFrom(pintest.Eve6, 64)}}
}

func (s *scene) isPinned(but ...string) {
	s.t.Helper()
	s.db.Revalidated(s.t)
	if got := pintest.Leaks(s.t, s.eve, s.near, pintest.Attacks()); len(got) > 0 {
		s.t.Errorf("heard: %q", got)
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(pintest.Honest())), func(name string) bool { return slices.Contains(but, name) })
	if diff := cmp.Diff(want, pintest.Leaks(s.t, s.eve, s.near, pintest.Honest())); diff != "" {
		s.t.Errorf("what has to pass (-sent +heard):\n%s", diff)
	}
}

// What does not pass although it would by a Linux bridge: see docs/spec.md.
var (
	igmp  = []string{"IGMP leave", "IGMP report", "IGMP report of version 2"}
	first = []string{"IPv6, fragments"}
)

// TestPin is that of Linux bridges: of a guest that is pinned only its own is heard.
func TestPin(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		s := newScene(t, d, setting)
		attach(t, s.target, s.spec())
		s.isPinned(append(first, igmp...)...)
		s.db.Ofctl(t, "set-frags", "lan", "nx-match")
		s.isPinned(igmp...)
		for _, to := range []string{"10.1.0.1", "fd01::1"} {
			nstest.Ping(t, s.eve.Handle, to)
		}
		for _, to := range []string{"10.1.0.66", "fd01::66"} {
			nstest.Ping(t, s.near.Handle, to)
		}
		s.end()
	})
}

// end detaches the guest, after which nothing may be left.
func (s *scene) end() {
	s.t.Helper()
	detach(s.t, s.target, s.spec())
	s.world.Unchanged(s.t)
	s.noFlows()
}

func (s *scene) noFlows() {
	s.t.Helper()
	if got := s.db.Flows(s.t, "lan"); got != "\n"+standard && got != standard {
		s.t.Errorf("flows are left:\n%s", got)
	}
}

// standard is the flow that a bridge is born with.
const standard = " priority=0 actions=NORMAL"

// passes is what is heard of the attacks.
func (s *scene) passes() []string {
	s.t.Helper()
	s.db.Revalidated(s.t)
	return pintest.Leaks(s.t, s.eve, s.near, pintest.Attacks())
}

// TestPinBeforeTheFirstFrame has the guest send at each step of an attach, of one that fails, of
// mending a port that was removed, and of a detach: before the flows are there nothing passes.
func TestPinBeforeTheFirstFrame(t *testing.T) {
	s := userspace(t)
	ambushed := func(what string, f func(ctx context.Context) error, after func()) {
		t.Helper()
		got := pintest.Ambush(t, s.eve, s.near, func(strike func()) {
			ctx := fault.With(t.Context(), func(string) error {
				strike()
				return nil
			})
			if err := f(ctx); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			strike()
			after()
		})
		if len(got) > 0 {
			t.Errorf("%s: heard %q", what, got)
		}
	}
	plug := func(ctx context.Context) error {
		_, err := pipework.Attach(ctx, s.target, s.spec())
		return err
	}
	ambushed("attach", plug, func() {})
	s.db.Vsctl(t, "del-port", attach(t, s.target, s.spec()).HostName)
	ambushed("mended", plug, func() {})
	s.bridge.Client.LookAgainAfter(1)
	t.Run("collect", func(t *testing.T) { // the flows of the port that somebody removed
		if _, err := s.bridge.Client.Collect(t.Context(), host(t)); err != nil {
			t.Error(err)
		}
	})
	ambushed("detach", func(ctx context.Context) error {
		_, err := pipework.Detach(ctx, s.target, s.spec())
		return err
	}, func() { attach(t, s.target, s.spec()) })
	detach(t, s.target, s.spec())
	ambushed("a failed attach", func(ctx context.Context) error {
		count := 0
		_, err := pipework.Attach(fault.With(ctx, func(step string) error {
			if step == "write flows" {
				count++
			}
			if err := fault.Step(ctx, step); err != nil || count == 0 {
				return err
			}
			return errors.New("after the flows")
		}), s.target, s.spec())
		if err == nil {
			return errors.New("it does not fail")
		}
		return nil
	}, func() { attach(t, s.target, s.spec()) })
	s.end()
}

// TestPinIsMended takes flows away, changes one, starts ovs-vswitchd again, which forgets them.
func TestPinIsMended(t *testing.T) {
	s := userspace(t)
	attach(t, s.target, s.spec())
	whole := s.db.Flows(t, "lan")
	for what, spoil := range map[string]func(){
		"all deleted": func() { s.db.Ofctl(t, "del-flows", "lan", "cookie=0x7069000000000000/0xffff000000000000") },
		"one deleted": func() {
			s.db.Ofctl(t, "del-flows", "lan", "cookie=0x7069000000000000/0xffff000000000000,ip,reg15=0x70690002,nw_proto=2")
		},
		"one changed": func() {
			s.db.Ofctl(t, "mod-flows", "lan", "cookie=0x7069000000000000/0xffff000000000000,ip,reg15=0x70690002,nw_proto=2,actions=NORMAL")
		},
		"one added": func() {
			id := regexp.MustCompile("cookie=(0x7069[0-9a-f]+)").FindStringSubmatch(whole)[1]
			s.db.Ofctl(t, "add-flow", "lan", "cookie="+id+",priority=65535,ip,actions=NORMAL")
		},
		"all deleted by their port": func() { s.db.Ofctl(t, "del-flows", "lan") },
		"fail mode changed": func() {
			s.db.Vsctl(t, "set-fail-mode", "lan", "secure")
			s.db.Vsctl(t, "del-fail-mode", "lan")
		},
		"started again": func() {
			s.vswitchd.Kill()
			s.vswitchd = s.db.Switch(t, ovstest.Userspace, nil)
			s.db.Vsctl(t, "set", "Open_vSwitch", ".", "external_ids:started=again") // and waits
		},
	} {
		spoil()
		checked, err := pipework.Check(t.Context(), s.target, s.spec())
		if err != nil || len(checked.Drifts) != 1 || !isPin(checked.Drifts[0]) {
			t.Errorf("%s: check: %+v, %v", what, checked, err)
		}
		if at := attach(t, s.target, s.spec()); len(at.Mended) != 1 {
			t.Errorf("%s: mended %q", what, at.Mended)
		}
		if what == "all deleted by their port" {
			s.db.Ofctl(t, "add-flow", "lan", "priority=0,actions=NORMAL")
		}
		number := regexp.MustCompile("in_port=[0-9]+")
		if diff := cmp.Diff(number.ReplaceAllString(whole, ""), number.ReplaceAllString(s.db.Flows(t, "lan"), "")); diff != "" {
			t.Errorf("%s: (-before +after):\n%s", what, diff)
		}
	}
	s.isPinned(append(first, igmp...)...)
	s.end()
}

// TestPinUpdated pins a guest, and lets it be again, and changes its addresses.
func TestPinUpdated(t *testing.T) {
	s := userspace(t)
	free := s.spec()
	free.Pin = false
	attach(t, s.target, free)
	if got := s.passes(); len(got) < 40 { // the bridge drops what is malformed, or for bridges
		t.Errorf("not pinned: heard %q", got)
	}
	update := func(spec pipework.Spec) *pipework.Attachment {
		t.Helper()
		at, err := pipework.Update(t.Context(), s.target, spec)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := update(s.spec()); len(at.Mended) != 1 || !strings.Contains(at.Mended[0], "(pin)") {
		t.Errorf("pinned: %q", at.Mended)
	}
	s.isPinned(append(first, igmp...)...)
	more := s.spec()
	more.Addrs = append(more.Addrs, netip.PrefixFrom(pintest.Other4, 24))
	update(more)
	want := []string{"ARP of another's address", "ARP probe of another's address", "another IPv4 source"}
	if diff := cmp.Diff(want, s.passes()); diff != "" {
		t.Errorf("with another address (-want +got):\n%s", diff)
	}
	update(s.spec())
	s.isPinned(append(first, igmp...)...)
	if at := update(free); len(at.Mended) != 1 {
		t.Errorf("not pinned any more: %q", at.Mended)
	}
	s.noFlows()
	if got := s.passes(); len(got) < 40 {
		t.Errorf("not pinned any more: heard %q", got)
	}
	s.end()
}

// TestPinFollowsTheLease pins a guest to what a server grants, and to another lease once the keeper
// has that.
func TestPinFollowsTheLease(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	db := ovstest.Start(t)
	db.Switch(t, ovstest.Userspace, nil)
	addBridge(t, db, dhcptest.Bridge)
	br, err := netlink.LinkByName(dhcptest.Bridge)
	if err == nil {
		err = errors.Join(netlink.LinkSetUp(br), netlink.AddrAdd(br, &netlink.Addr{IPNet: netlinkNet(t, dhcptest.Router+"/24")}))
	}
	if err != nil {
		t.Fatal(err)
	}
	dhcptest.Dnsmasq(t, "--dhcp-range=10.77.0.50,10.77.0.50,255.255.255.0,120")
	target, g := nstest.Guest(t)
	s := pipework.Spec{Link: ovs.Bridge{Name: dhcptest.Bridge, Client: shared(t, db)}, Pin: true, DHCP: new(dhcp.Config)}
	at := attach(t, target, s)
	sources := func() []string {
		return regexp.MustCompile("nw_src=[1-9][0-9.]+").FindAllString(db.Flows(t, dhcptest.Bridge), -1)
	}
	if got := sources(); !slices.Equal(got, []string{"nw_src=10.77.0.50"}) {
		t.Errorf("with the lease of %s: %q", at.Lease.Addr, got)
	}
	next := *at.Lease
	next.Addr = netip.MustParsePrefix("10.77.0.60/24")
	if err := new(pipework.Attacher).Kept(target, s, at)[0].Apply(t.Context(), g, at.Lease, &next); err != nil {
		t.Fatal(err)
	}
	if got := sources(); !slices.Equal(got, []string{"nw_src=10.77.0.60"}) {
		t.Errorf("with another lease: %q", got)
	}
	if checked, err := pipework.Check(t.Context(), target, s); err != nil || slices.ContainsFunc(checked.Drifts, isPin) {
		t.Errorf("check: %+v, %v", checked, err)
	}
	detach(t, target, s)
}

func isPin(drift string) bool { return strings.Contains(drift, "(pin)") }

func netlinkNet(t *testing.T, prefix string) *net.IPNet {
	t.Helper()
	n, err := netlink.ParseIPNet(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPinLeavesOthersDecide has flows of the bridge's own decide what becomes of what may pass.
func TestPinLeavesOthersDecide(t *testing.T) {
	s := userspace(t)
	attach(t, s.target, s.spec())
	s.db.Ofctl(t, "add-flow", "lan", "cookie=0x5,priority=65000,ip,nw_proto=17,nw_src=10.1.0.66,tp_dst=1000,actions=drop")
	s.isPinned(append(append([]string{"IPv4"}, first...), igmp...)...)
	detach(t, s.target, s.spec())
	if got := s.db.Flows(t, "lan"); !strings.Contains(got, "cookie=0x5") || strings.Contains(got, "cookie=0x7069") {
		t.Errorf("flows are left:\n%s", got)
	}
	s.db.Ofctl(t, "del-flows", "lan", "cookie=0x5/-1")
	s.noFlows()
}

// TestPinOfTrunks lets the tags of trunks pass, and no second one.
func TestPinOfTrunks(t *testing.T) {
	s := userspace(t)
	s.bridge.Trunks = []int{0, 7}
	attach(t, s.target, s.spec())
	want := []string{"tagged", "tagged by 802.1ad"} // of which type a tag is the kernel's classifier does not tell either
	if diff := cmp.Diff(want, s.passes()); diff != "" {
		t.Errorf("of trunk 7 (-want +got):\n%s", diff)
	}
	detach(t, s.target, s.spec())
	s.db.Vsctl(t, "set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
	if _, err := pipework.Attach(t.Context(), s.target, s.spec()); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "vlan-limit") {
		t.Errorf("where a second tag is looked below: %v", err)
	}
	s.db.Vsctl(t, "remove", "Open_vSwitch", ".", "other_config", "vlan-limit")
	s.end()
}

// TestPinRefused is of bridges whose flows do not decide, and of databases elsewhere: nothing is
// left.
func TestPinRefused(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	unchanged(t, db)
	b := ovs.Bridge{Name: "lan", Client: c}
	planned := true
	refused := func(what string, b ovs.Bridge, class error, says string) {
		t.Helper()
		_, err := pipework.Attach(t.Context(), target, pipework.Spec{Link: b, Pin: true})
		if !errors.Is(err, class) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := new(pipework.Attacher).Plan(t.Context(), target, pipework.Spec{Link: b, Pin: true}); planned && !errors.Is(err, class) {
			t.Errorf("%s: plan: %v", what, err)
		}
	}
	db.Vsctl(t, "set-controller", "lan", "tcp:127.0.0.1:1")
	refused("a controller", b, errors.ErrUnsupported, "del-controller lan")
	db.Vsctl(t, "del-controller", "lan")
	db.Vsctl(t, "set", "bridge", "lan", "stp_enable=true")
	refused("a spanning tree", b, errors.ErrUnsupported, "spanning tree")
	db.Vsctl(t, "set", "bridge", "lan", "stp_enable=false")
	db.Vsctl(t, "set-manager", "ptcp:6640:127.0.0.1", "ssl:192.0.2.1:6640")
	refused("a manager", b, errors.ErrUnsupported, "set bridge lan other_config:disable-in-band=true")
	db.Vsctl(t, "set", "bridge", "lan", "other_config:disable-in-band=true")
	attach(t, target, pipework.Spec{Link: b, Pin: true})
	detach(t, target, pipework.Spec{Link: b})
	db.Vsctl(t, "--", "remove", "bridge", "lan", "other_config", "disable-in-band", "--", "set-manager", "ptcp:6640:127.0.0.1")
	attach(t, target, pipework.Spec{Link: b, Pin: true})
	detach(t, target, pipework.Spec{Link: b})
	db.Vsctl(t, "del-manager")
	db.Vsctl(t, "set", "bridge", "lan", "protocols=OpenFlow13")
	planned = false // which only ovs-vswitchd can tell
	refused("an older OpenFlow", b, errors.ErrUnsupported, "protocols OpenFlow14")
	db.Vsctl(t, "clear", "bridge", "lan", "protocols")
	refused("another machine's database", ovs.Bridge{Name: "lan", Client: &ovs.Client{Endpoint: "tcp:192.0.2.1"}}, fs.ErrInvalid, "on its own machine")
	world.Unchanged(t)
}

// TestPinOfAPortThatIsGone has a guest end, or somebody remove its port: no flows are left for
// who has its number next.
func TestPinOfAPortThatIsGone(t *testing.T) {
	db, c := dummy(t)
	c.LookAgainAfter(1)
	addBridge(t, db, "lan")
	b := ovs.Bridge{Name: "lan", Client: c}
	spec := pipework.Spec{Link: b, Pin: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}
	collect := func() {
		t.Helper()
		if _, err := c.Collect(t.Context(), host(t)); err != nil {
			t.Error(err)
		}
	}
	ours := func() bool { return strings.Contains(db.Flows(t, "lan"), "cookie=0x7069") }

	process := nstest.Process(t)
	attach(t, ns.PID(process.PID), spec)
	if !ours() {
		t.Fatal("there are no flows")
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	ovstest.Wait(t, "the flows of a dead guest are gone", func() error {
		collect()
		if ours() {
			return errors.New(db.Flows(t, "lan"))
		}
		return nil
	})

	target, _ := nstest.Guest(t)
	db.Vsctl(t, "del-port", attach(t, target, spec).HostName)
	if !ours() {
		t.Fatal("there are no flows")
	}
	collect()
	if ours() {
		t.Errorf("flows are left of a port that was removed:\n%s", db.Flows(t, "lan"))
	}
	detach(t, target, spec)

	db.Ofctl(t, "add-flow", "lan", "cookie=0x7069000000000001,priority=65535,in_port=9,actions=NORMAL")
	at := attach(t, target, spec)
	db.Vsctl(t, "--", "set", "Interface", at.HostName, "ofport_request=9")
	if at := attach(t, target, spec); len(at.Mended) != 1 {
		t.Errorf("with another number: mended %q", at.Mended)
	}
	if got := db.Flows(t, "lan"); strings.Contains(got, "cookie=0x7069000000000001") {
		t.Errorf("who had the number before still decides:\n%s", got)
	}
	detach(t, target, spec)
	if ours() {
		t.Errorf("flows are left:\n%s", db.Flows(t, "lan"))
	}
}

// TestPinAndItsTwin has two guests on host ends of their own choice, whose names are alike for
// a hash of 48 bits: what comes and goes for one leaves the other's flows alone.
func TestPinAndItsTwin(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	one, other := ovs.Bridge{Name: "lan", Client: c, HostName: "pw-rvex4f0weq0q"}, ovs.Bridge{Name: "lan", Client: c, HostName: "pw-0l3z2qxcjiod"}
	at1, _ := nstest.Guest(t)
	at2, _ := nstest.Guest(t)
	first := attach(t, at1, pipework.Spec{Link: one, Pin: true})
	flows := func() string { return db.Flows(t, "lan") }
	before := flows()
	attach(t, at2, pipework.Spec{Link: other, Pin: true})
	for _, line := range strings.Split(before, "\n") {
		if !strings.Contains(flows(), line) {
			t.Fatalf("attaching %s took a flow of %s: %s", other.HostName, first.HostName, line)
		}
	}
	detach(t, at2, pipework.Spec{Link: other, Pin: true})
	if diff := cmp.Diff(before, flows()); diff != "" {
		t.Errorf("detached one (-before +after):\n%s", diff)
	}
	detach(t, at1, pipework.Spec{Link: one, Pin: true})
}
