//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/pintest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// eveSpec is that of a guest that is not trusted.
func eveSpec() pipework.Spec {
	return pipework.Spec{Link: link.Bridge{Name: "br1"}, MAC: pintest.EveMAC, Pin: true, Addrs: []netip.Prefix{netip.PrefixFrom(pintest.Eve4, 24), netip.PrefixFrom(pintest.Eve6, 64)}}
}

// A scene is a guest that is not trusted, and a neighbour that hears what leaves it.
type scene struct {
	t         *testing.T
	target    ns.Named
	eve, near *ns.Guest
	neighbour ns.Named
	world     *nstest.World
}

func newScene(t *testing.T) *scene {
	pintest.Unfiltered(t)
	s := &scene{t: t}
	s.target, s.eve = nstest.Guest(t)
	s.neighbour, s.near = nstest.Guest(t)
	s.world = nstest.Observe(t, s.eve.Handle, s.near.Handle)
	plug(t, s.neighbour, link.Bridge{Name: "br1"}, "10.1.0.1/24", "fd01::1/64")
	return s
}

// end detaches both, after which nothing may be left.
func (s *scene) end() {
	s.t.Helper()
	unplug(s.t, s.target, nil)
	unplug(s.t, s.neighbour, nil)
	s.world.Unchanged(s.t)
}

// leaks sends frames, and tells which were heard.
func (s *scene) leaks(frames map[string][]byte) []string {
	s.t.Helper()
	return pintest.Leaks(s.t, s.eve, s.near, frames)
}

func (s *scene) isPinned() {
	s.t.Helper()
	if got := s.leaks(pintest.Attacks()); len(got) > 0 {
		s.t.Errorf("heard: %q", got)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(pintest.Honest())), s.leaks(pintest.Honest())); diff != "" {
		s.t.Errorf("what has to pass (-sent +heard):\n%s", diff)
	}
}

// isNot makes sure that the pintest.Attacks are some.
func (s *scene) isNot() {
	s.t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(pintest.Attacks())), s.leaks(pintest.Attacks())); diff != "" {
		s.t.Errorf("not pinned (-sent +heard):\n%s", diff)
	}
}

// TestPin has a guest with a packet socket send whatever it likes: of a guest that is pinned
// only its own is heard on the bridge, and of one that is not, all.
func TestPin(t *testing.T) {
	s := newScene(t)
	defer s.end()
	attach(t, s.target, eveSpec())
	s.isPinned()
	for _, to := range []string{"10.1.0.1", "fd01::1"} {
		nstest.Ping(t, s.eve.Handle, to)
	}
	for _, to := range []string{"10.1.0.66", "fd01::66"} {
		nstest.Ping(t, s.near.Handle, to)
	}
}

// TestPinUpdated pins a guest, and lets it be again, and changes its addresses.
func TestPinUpdated(t *testing.T) {
	s := newScene(t)
	defer s.end()
	free := eveSpec()
	free.Pin = false
	attach(t, s.target, free)
	s.isNot()
	if _, err := pipework.Attach(t.Context(), s.target, eveSpec()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("attached pinned: %v", err)
	}
	if at := update(t, s.target, eveSpec()); len(at.Mended) != 1 || !strings.Contains(at.Mended[0], "(pin)") {
		t.Errorf("pinned: %q", at.Mended)
	}
	s.isPinned()
	more := eveSpec()
	more.Addrs = append(more.Addrs, netip.PrefixFrom(pintest.Other4, 24))
	added := more
	added.Pin, added.Add = false, true
	if _, err := pipework.Attach(t.Context(), s.target, added); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "pinned to its addresses") {
		t.Errorf("an address added: %v", err)
	}
	update(t, s.target, more)
	want := []string{"ARP of another's address", "ARP probe of another's address", "another IPv4 source"}
	if diff := cmp.Diff(want, s.leaks(pintest.Attacks())); diff != "" {
		t.Errorf("with another address (-want +got):\n%s", diff)
	}
	update(t, s.target, eveSpec())
	s.isPinned()
	if at := update(t, s.target, free); len(at.Mended) != 1 {
		t.Errorf("not pinned any more: %q", at.Mended)
	}
	s.isNot()
}

// TestPinIsMended takes the filter away, and has the guest lie of its MAC.
func TestPinIsMended(t *testing.T) {
	s := newScene(t)
	defer s.end()
	spec := eveSpec()
	spec.MAC, spec.DefaultMAC = nil, pintest.EveMAC
	at := attach(t, s.target, spec)
	end, err := netlink.LinkByName(at.HostName)
	if err != nil {
		t.Fatal(err)
	}
	qdisc := netlink.QdiscAttrs{LinkIndex: end.Attrs().Index, Handle: 0xffff0000, Parent: netlink.HANDLE_CLSACT}
	if err := netlink.QdiscDel(&netlink.GenericQdisc{QdiscAttrs: qdisc, QdiscType: "clsact"}); err != nil {
		t.Fatal(err)
	}
	s.isNot()
	ip(t, s.eve, "ip", "link", "set", "eth1", "address", pintest.OtherMAC.String())
	checked, err := pipework.Check(t.Context(), s.target, spec)
	if err != nil || len(checked.Drifts) != 1 || !strings.Contains(checked.Drifts[0], "(pin)") {
		t.Errorf("without its filter: %+v, %v", checked, err)
	}
	if at := attach(t, s.target, spec); len(at.Mended) != 1 {
		t.Errorf("mended %q", at.Mended)
	}
	s.isPinned()
}

// TestPinBesideAnother has somebody's filter have the place of the pin's: pinning says so and
// changes nothing, and to tell and to let be takes that for no pin.
func TestPinBesideAnother(t *testing.T) {
	for name, filter := range map[string][]string{
		"of another kind":  {"u32", "match", "u32", "0", "0"},
		"for one protocol": {"bpf", "bytecode", "1,6 0 0 4294967295"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			defer s.end()
			free := eveSpec()
			free.Pin = false
			at := attach(t, s.target, free)
			tc(t, "qdisc", "add", "dev", at.HostName, "clsact")
			tc(t, append([]string{"filter", "add", "dev", at.HostName, "ingress", "pref", "1", "protocol", "ip"}, filter...)...)
			_, err := pipework.Update(t.Context(), s.target, eveSpec())
			if want := "somebody's filter of the kind " + filter[0]; !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "tc filter delete dev "+at.HostName) {
				t.Errorf("%v; want %s", err, want)
			}
			if at := update(t, s.target, free); len(at.Mended) != 0 {
				t.Errorf("changed %q", at.Mended)
			}
			tc(t, "filter", "delete", "dev", at.HostName, "ingress", "pref", "1")
			update(t, s.target, eveSpec())
			s.isPinned()
		})
	}
}

func tc(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "tc", words...).CombinedOutput(); err != nil {
		t.Fatalf("tc %q: %v\n%s", words, err, out)
	}
}

// TestPinRefused is of links without an end on the host: nothing is touched.
func TestPinRefused(t *testing.T) {
	target, g := nstest.Guest(t)
	peer, _ := nstest.Guest(t)
	addNIC(t, "nic0")
	world := nstest.Observe(t, g.Handle)
	for _, b := range []link.Backend{
		link.Macvlan{Parent: "nic0"}, link.Ipvlan{Parent: "nic0"}, link.VLAN{Parent: "nic0", VLAN: 7}, link.Phys{Device: "nic0"}, link.Dummy{},
		link.Veth{Peer: ns.Ref{Kind: ns.Netns, Name: string(peer)}, PeerName: "eth5"},
	} {
		_, err := pipework.Attach(t.Context(), target, pipework.Spec{Link: b, Pin: true})
		if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "plug it into a Linux bridge, or use a veth pair") {
			t.Errorf("%s: %v", b, err)
		}
	}
	world.Unchanged(t)
}

// TestPinFollowsTheLease pins a guest to what a server grants, whatever the guest writes on
// its interface, and to another lease once the keeper has that.
func TestPinFollowsTheLease(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t, "--dhcp-range=10.77.0.50,10.77.0.50,255.255.255.0,120")
	target, g := nstest.Guest(t)
	s := dhcpSpec()
	s.Pin = true
	at := attach(t, target, s)
	reaches := func(from string) bool { return answered(t, g, from, dhcptest.Router) }
	const leased, other, forged = "10.77.0.50", "10.77.0.60", "10.77.0.61"
	ip(t, g, "ip", "address", "add", other+"/24", "dev", "eth1")
	ip(t, g, "ip", "address", "add", forged+"/24", "dev", "eth1")
	if !reaches(leased) || reaches(other) || reaches(forged) {
		t.Errorf("attached with the lease of %s: reaches %v %v %v", at.Lease.Addr, reaches(leased), reaches(other), reaches(forged))
	}
	own, err := open(t, g).LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	alias := strings.Replace(own.Attrs().Alias, "lease=10.77.0.50", "lease=10.77.0.61", 1)
	if alias == own.Attrs().Alias {
		t.Fatalf("no lease in %q", alias)
	}
	ip(t, g, "ip", "link", "set", "eth1", "alias", alias)
	if _, err := pipework.Attach(t.Context(), target, s); err != nil {
		t.Error(err)
	}
	ip(t, g, "ip", "address", "replace", forged+"/24", "dev", "eth1") // which it took for the lease's, and removed
	if !reaches(leased) || reaches(forged) {
		t.Error("the guest's own mark chose what passes")
	}
	last, next := at.Lease, *at.Lease
	next.Addr = netip.MustParsePrefix(other + "/24")
	if err := new(pipework.Attacher).Kept(target, s, at)[0].Apply(t.Context(), g, last, &next); err != nil {
		t.Fatal(err)
	}
	ip(t, g, "ip", "address", "replace", leased+"/24", "dev", "eth1")
	if reaches(leased) || !reaches(other) {
		t.Error("the lease has changed, and what passes has not")
	}
	detach(t, target, s)
	server.Stop()
}

// answered says whether an answer comes to the guest's address: that nobody listens there.
func answered(t *testing.T, g *ns.Guest, from, to string) bool {
	t.Helper()
	var c *net.UDPConn
	err := g.Do(t.Context(), func() (err error) {
		c, err = net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: net.ParseIP(to), Port: 9})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Write([]byte("?")); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

// TestPinOfAFurtherLine: another Spec can neither pin an interface that is there, nor add to
// one that is pinned; the error says which.
func TestPinOfAFurtherLine(t *testing.T) {
	for name, row := range map[string]struct {
		pinned   bool
		want, no string
	}{
		"pins":     {false, "lets other frames pass than those of the guest's own addresses (pin)", "it is pinned"},
		"is added": {true, "it is pinned to its addresses", "lets other frames"},
	} {
		t.Run(name, func(t *testing.T) {
			target, g := nstest.Guest(t)
			world := nstest.Observe(t, g.Handle)
			first, more := eveSpec(), eveSpec()
			first.Pin, more.Pin, more.Add = row.pinned, !row.pinned, true
			more.Addrs = []netip.Prefix{netip.MustParsePrefix("10.1.0.67/24")}
			attach(t, target, first)
			_, err := pipework.Attach(t.Context(), target, more)
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), row.no) {
				t.Errorf("got %v", err)
			}
			detach(t, target, first)
			world.Unchanged(t)
		})
	}
}
