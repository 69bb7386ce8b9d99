package link

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/ns"
)

// FromMark gives back what String said.
func TestFromMark(t *testing.T) {
	for want, b := range map[string]Backend{
		"bridge:br1":            Bridge{Name: "br1", Firewall: FirewallLeave},
		"macvlan:eth0":          Macvlan{Parent: "eth0"},
		"macvlan-vepa:eth0@100": Macvlan{Parent: "eth0", Mode: MacvlanVEPA, VLAN: 100},
		"ipvlan:wlan-0":         Ipvlan{Parent: "wlan-0"},
		"ipvlan-l3s:eth0.5@7":   Ipvlan{Parent: "eth0.5", Mode: IpvlanL3S, VLAN: 7},
		"dummy":                 Dummy{},
		"veth":                  Veth{},
		"veth:web-0":            Veth{HostName: "web-0"},
		"veth:docker:db/eth5":   pairByMark("veth:docker:db/eth5"),
		"vlan:eth0.5@100":       VLAN{Parent: "eth0.5", VLAN: 100},
		"ipoib:ib0":             IPoIB{Parent: "ib0"},
		"ipoib:ib0@8001":        IPoIB{Parent: "ib0", PKey: 0x8001},
	} {
		if b.String() != want {
			t.Errorf("%#v is %q, want %q", b, b, want)
		}
		got, err := FromMark(Mark{Link: want})
		if diff := cmp.Diff(b, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", want, err, diff)
		}
	}
	if s := (IPoIB{Parent: "ib0", PKey: 1}).String(); s != "ipoib:ib0@8001" {
		t.Errorf("limited member: %s", s)
	}
	for _, bad := range []string{"ovs:ovs0", "", "macvlan-odd:eth0"} {
		if b, err := FromMark(Mark{Link: bad}); err == nil {
			t.Errorf("%q: %#v", bad, b)
		}
	}
}

// A pair to another guest as a mark tells of it is text as the pair itself is.
func TestPairByMarkIsTheVeth(t *testing.T) {
	v := Veth{Peer: ns.ParseRef("/run/netns/db"), PeerName: "eth5"}
	b, err := FromMark(Mark{Link: v.String()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := MarshalBackend(b)
	if err != nil {
		t.Fatal(err)
	}
	back, err := UnmarshalBackend(text, Kinds())
	if diff := cmp.Diff(Backend(v), back); diff != "" || err != nil {
		t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
	}
}

// The end in the other guest says whose it is, and is no mark.
func TestPeerAlias(t *testing.T) {
	m := Mark{Link: "veth:docker:db/eth5", Interface: "eth1", Spec: "2.0", Guest: ns.Identity{Name: strings.Repeat("größe", 40), ID: "3f2a9c1d7b44", PID: 7}}
	alias := m.peerAlias()
	if _, ours := ParseMark(alias); ours || len(alias) > aliasMax {
		t.Errorf("%q, of %d bytes, is taken for a mark", alias, len(alias))
	}
	got, ok := PeerOf(alias)
	if !ok || got.Link != m.Link || got.Interface != m.Interface || got.Guest.ID != m.Guest.ID || got.Spec != "" {
		t.Errorf("%q reads as %+v", alias, got)
	}
	if _, ok := PeerOf(m.String()); ok {
		t.Error("a mark is taken for one of a peer's end")
	}
}

// What is wrong with a VLAN or a pair by itself is said before anything is touched.
func TestValidateVLANAndVeth(t *testing.T) {
	for _, good := range []Validator{
		VLAN{Parent: "eth0", VLAN: 1}, VLAN{Parent: "eth0.5", VLAN: 4094},
		Veth{Peer: ns.ParseRef("containerd:k8s.io/" + strings.Repeat("d", 64)), PeerName: "eth5", PeerAddrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
		Veth{}, Veth{HostName: "web0", HostAddrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%#v: %v", good, err)
		}
	}
	for _, bad := range []struct {
		v    Validator
		says string
	}{
		{VLAN{Parent: "eth0"}, "a VLAN is needed"},
		{VLAN{Parent: "eth0", VLAN: 4095}, "out of range"},
		{VLAN{VLAN: 5}, "a parent interface on the host is needed"},
		{VLAN{Parent: "eth0@5", VLAN: 5}, "apart from the interface's name"},
		{Veth{HostName: "a/b"}, "a/b"},
		{Veth{Peer: ns.ParseRef("db")}, "the interface in db: an interface needs a name"},
		{Veth{PeerName: "eth5"}, "no name: name it by peer"},
		{Veth{Peer: ns.ParseRef("db"), PeerName: "a/b"}, "a/b"},
		{Veth{Peer: ns.ParseRef("d\nb"), PeerName: "eth5"}, "control characters"},
		{Veth{Peer: ns.ParseRef("docker:" + strings.Repeat("d", 100)), PeerName: "eth5"}, "name it by its ID"},
		{Veth{Peer: ns.ParseRef("db"), PeerName: "eth5", HostName: "web0"}, "it has no end on the host"},
		{Veth{Peer: ns.ParseRef("db"), PeerName: "eth5", PeerAddrs: []netip.Prefix{{}}}, "no address for the peer's end"},
		{Veth{PeerAddrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}, "name it by peer and peer_name"},
		{Veth{HostAddrs: []netip.Prefix{{}}}, "no address for the host's end"},
		{Veth{HostAddrs: []netip.Prefix{netip.MustParsePrefix("ff02::1/64")}}, "no address for the host's end"},
	} {
		if err := bad.v.Validate(); err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%#v: %v, want %q", bad.v, err, bad.says)
		}
	}
}

func TestModesAreText(t *testing.T) {
	var m MacvlanMode
	var i IpvlanMode
	for _, c := range []struct {
		text string
		into interface{ UnmarshalText([]byte) error }
		ok   bool
	}{
		{"", &m, true}, {"bridge", &m, true}, {"passthru", &m, true}, {"l2", &m, false},
		{"", &i, true}, {"l3s", &i, true}, {"vepa", &i, false},
	} {
		if err := c.into.UnmarshalText([]byte(c.text)); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	if m != MacvlanBridge || i != IpvlanL2 { // the last ones were refused
		t.Errorf("after an error: %v, %v", m, i)
	}
	if s := MacvlanMode(7).String(); s != "mode 7" {
		t.Error(s)
	}
}

func mac(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }
