package pipework

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// full is a Spec in which every field has a value.
func full() Spec {
	return Spec{
		Link: link.Bridge{Name: "br1", HostName: "webeth1", VLAN: 100, Trunks: []int{10, 20}, Isolated: true, Hairpin: true, Firewall: link.FirewallAccept},
		Name: "eth2", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DefaultMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, MTU: 1400,
		Addrs: prefixes("10.0.0.2/24", "fd00::2/64"), Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
		DHCP: &dhcp.Config{
			Family: dhcp.Both, Hostname: "web", ClientID: []byte{255, 0, 1}, DUID: []byte{0, 3, 0, 1}, IAID: 7, RapidCommit: true, VendorClass: "v",
			Parameters: []uint8{42, 66}, Requested: netip.MustParseAddr("10.0.0.9"), Broadcast: true, Probe: time.Second,
			Timeout: 250 * time.Millisecond, Tries: 3, ResolvConf: "/tmp/resolv.conf", NoGateway: true,
		},
		SLAAC: true,
		Routes: []link.Route{{
			Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: netip.MustParseAddr("10.0.0.1"), Src: netip.MustParseAddr("10.0.0.2"), Metric: 50, Table: 100,
		}},
		Rules: []link.Rule{{
			Priority: 5, From: netip.MustParsePrefix("10.0.0.2/32"), To: netip.MustParsePrefix("10.9.0.0/16"), IIf: "lo", OIf: "eth2", Mark: 1, Mask: 3, Table: 100,
		}},
		Egress:    &link.Shaping{Rate: 1e6, Delay: 20 * time.Millisecond, Jitter: time.Millisecond, Loss: 1.5},
		Ingress:   &link.Shaping{Rate: 1e7},
		Pin:       true,
		AllowHost: true,
	}
}

// TestSpecJSON writes and reads every field of a Spec, and every kind of link.
func TestSpecJSON(t *testing.T) {
	assertFull(t, reflect.ValueOf(full()), "Spec", map[string]bool{"Spec.Add": true, "Spec.Beneath": true, "Spec.Last": true, "Spec.Saved": true, "Spec.Force": true, "Spec.Ingress.Delay": true, "Spec.Ingress.Jitter": true, "Spec.Ingress.Loss": true})
	specs := []Spec{{}, full()}
	for _, b := range []link.Backend{
		link.Macvlan{Parent: "eth0", Mode: link.MacvlanVEPA, VLAN: 7}, link.Ipvlan{Parent: "eth0", Mode: link.IpvlanL3S, VLAN: 7},
		link.IPoIB{Parent: "ib0", PKey: 0x8001}, link.Dummy{}, link.Phys{Device: "eth3", AllowDefaultRoute: true},
		link.VLAN{Parent: "eth0", VLAN: 100},
		link.Veth{
			HostName: "web0", HostAddrs: prefixes("10.0.0.1/24", "fd00::1/64"),
			Peer: ns.Ref{Kind: ns.Docker, Name: "db"}, PeerName: "eth5", PeerAddrs: prefixes("10.9.0.2/30"),
		},
	} {
		assertFull(t, reflect.ValueOf(b), b.String(), map[string]bool{b.String() + ".Peer.ID": true})
		specs = append(specs, Spec{Link: b})
	}
	for _, s := range specs {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Spec
		if err := json.Unmarshal(text, &back); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(s, back, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s comes back otherwise: %s", text, diff)
		}
	}
}

// assertFull makes sure that no field is left out of the test.
func assertFull(t *testing.T, v reflect.Value, path string, but map[string]bool) {
	t.Helper()
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice && v.Len() > 0 {
		v = v.Index(0)
	}
	if v.Kind() != reflect.Struct || !strings.Contains(v.Type().PkgPath(), "pipework") {
		return
	}
	for i := range v.NumField() {
		name := path + "." + v.Type().Field(i).Name
		if v.Field(i).IsZero() && !but[name] {
			t.Errorf("%s has no value in this test: give it one", name)
		}
		assertFull(t, v.Field(i), name, but)
	}
}

// TestSpecText pins the text that people write.
func TestSpecText(t *testing.T) {
	got, err := json.MarshalIndent(full(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/spec.json", string(got)+"\n")
}

// TestSpecUnknown names what is wrong with a Spec in JSON.
func TestSpecUnknown(t *testing.T) {
	for text, want := range map[string]string{
		`{"addresses": ["10.0.0.2/24"]}`:                         `spec: unknown field "addresses"`,
		`{"link": {"bridge": {"name": "br1", "tag": 5}}}`:        `spec: link: bridge: unknown field "tag"`,
		`{"link": {"ovs": {"name": "ovs0"}}}`:                    `spec: link: no kind is called "ovs" here: there are bridge, macvlan, ipvlan, ipoib, dummy, phys, vlan, veth`,
		`{"link": {"bridge": {}, "dummy": {}}}`:                  `spec: link: one kind with its settings is needed, such as {"bridge": {"name": "br1"}}`,
		`{"link": "br1"}`:                                        `spec: link: one kind with its settings is needed, such as {"bridge": {"name": "br1"}}`,
		`{"routes": [{"to": "10.0.0.0/8"}]}`:                     `spec: unknown field "to"`,
		`{"dhcp": {"time": 5}}`:                                  `unknown field "time"`,
		`{"egress": {"rates": 5}}`:                               `unknown field "rates"`,
		`{"egress": {"delay": "20 s"}}`:                          `"20 s" is no duration: write one such as 20ms`,
		`{"mac": "02:00"}`:                                       `02:00`,
		`{"link": {"macvlan": {"parent": "eth0", "mode": "x"}}}`: `no mode "x"`,
		`{} {}`: `spec: "{}" follows the value`,
	} {
		var s Spec
		err := json.Unmarshal([]byte(text), &s)
		if _, err2 := DecodeSpec([]byte(text), link.Kinds()...); err2 == nil || !strings.Contains(err2.Error(), want) || strings.Contains(err2.Error(), "\n") {
			t.Errorf("%s: %v, want %q", text, err2, want)
		}
		if err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

// TestCanonical pins the digests: the marks of living interfaces hold them.
func TestCanonical(t *testing.T) {
	var lines []string
	free := full() // as it was before there was a pin
	free.Pin = false
	for _, s := range []Spec{
		{Link: link.Bridge{Name: "br1"}},
		{Link: link.Bridge{Name: "br1"}, Addrs: prefixes("10.0.0.2/24", "10.0.0.1/24"), Gateways: []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.9")}},
		{Link: link.Macvlan{Parent: "eth0", VLAN: 100}, Name: "eth1", MTU: 1400},
		{Link: link.Phys{Device: "eth3", AllowDefaultRoute: true}},
		free,
		full(),
		{Link: link.Veth{HostName: "web0", HostAddrs: prefixes("10.0.0.1/24")}},
		{Link: link.Veth{Peer: ns.Ref{Kind: ns.Docker, Name: "db", ID: "3f2a"}, PeerName: "eth5", PeerAddrs: prefixes("10.9.0.2/30")}},
	} {
		text, err := s.canonical()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := s.digest()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, digest+" "+string(text))
	}
	golden(t, "testdata/canonical-2.txt", strings.Join(lines, "\n")+"\n")
	a, b := full(), full()
	b.DefaultMAC, b.AllowHost, b.Addrs = nil, false, prefixes("fd00::2/64", "10.0.0.2/24")
	if one, _ := a.digest(); one != must(b.digest()) {
		t.Error("what is not part of the canonical form changes the digest")
	}
}

func must(s string, err error) string {
	if err != nil {
		return err.Error()
	}
	return s
}

// golden compares got with the file, which PIPEWORK_GOLDEN=write in the environment
// writes instead, to be looked through.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("PIPEWORK_GOLDEN") == "write" {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs: %s", path, diff)
	}
}
