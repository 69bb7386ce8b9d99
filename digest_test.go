//go:build linux

package pipework

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// TestDigestsOfVersion0 has the digests that are on the marks of interfaces that
// version 0 plugged in. They must stay what they are, or be known beside newer ones:
// a line that is typed again after an upgrade has to find its interface. Those of
// the first block are also in the marks of link/testdata/marks-v0, which the command
// wrote.
func TestDigestsOfVersion0(t *testing.T) {
	gw := netip.MustParseAddr
	br1, lan := link.Bridge{Name: "br1"}, link.Bridge{Name: "lan"}
	for _, c := range []struct {
		name, want string
		spec       Spec
	}{
		{"bridge", "8393ef7e16075b45", Spec{Link: br1, Addrs: prefixes("10.0.0.1/24")}},
		{"address twice, MAC", "c077b1debdc76dcc", Spec{Link: br1, Name: "eth2", Addrs: prefixes("10.0.1.1/24", "fd01::1/64"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x12}}},
		{"no address, U:", "b05e5d335296ba82", Spec{Link: br1, MAC: link.UniqueMAC("myhost.example.com")}},
		{"host name", "40196e8447e1a71f", Spec{Link: link.Bridge{Name: "br1", HostName: "vlabel"}, Name: "lan1", Addrs: prefixes("10.0.0.2/24")}},
		{"no forward", "b9b5b29f06436075", Spec{Link: link.Bridge{Name: "br1", Firewall: link.FirewallLeave}, Addrs: prefixes("10.0.0.3/24")}},
		{"forward", "b26f6d83aab0de75", Spec{Link: link.Bridge{Name: "br1", Firewall: link.FirewallAccept}, Addrs: prefixes("10.0.0.4/24")}},
		{"gateways", "b5a786b58c82e670", Spec{Link: br1, Addrs: prefixes("10.0.0.9/24", "fd00::9/64"), Gateways: []netip.Addr{gw("10.0.0.254"), gw("fd00::1")}}},
		{"bridge with VLAN", "a1809db705347921", Spec{Link: link.Bridge{Name: "br2", VLAN: 100}, Addrs: prefixes("10.2.0.1/24")}},
		{"macvlan", "80cff0bb0c6a9870", Spec{Link: link.Macvlan{Parent: "eth0"}, Addrs: prefixes("10.3.0.1/24")}},
		{"macvlan with VLAN", "ae6d253c6553e4a1", Spec{Link: link.Macvlan{Parent: "eth0", VLAN: 100}, Addrs: prefixes("10.3.1.1/24")}},
		{"macvlan on a VLAN", "f30b694d87acdc72", Spec{Link: link.Macvlan{Parent: "eth0.7"}, Addrs: prefixes("10.3.2.1/24")}},
		{"dummy", "36393e71a0ae192c", Spec{Link: link.Dummy{}, Addrs: prefixes("10.4.0.1/24")}},
		{"phys", "7af85d99bedfb74b", Spec{Link: link.Phys{Device: "eth3"}, Addrs: prefixes("10.5.0.1/24")}},
		{"IPoIB", "30e0e7d44de1a355", Spec{Link: link.IPoIB{Parent: "ib0"}, Name: "ib0", Addrs: prefixes("10.7.0.1/24")}},
		{"IPoIB with key", "59c1e92350320496", Spec{Link: link.IPoIB{Parent: "ib0", PKey: 0x8001}, Name: "ib1", Addrs: prefixes("10.7.1.1/24")}},
		{"ovs", "363b4d087dbeb9af", Spec{Link: ovs.Bridge{Name: "ovs0"}, Addrs: prefixes("10.6.0.1/24")}},
		{"ovs with VLAN", "945b79942fc16624", Spec{Link: ovs.Bridge{Name: "ovs0", Tag: 100, HostName: "vovs"}, Name: "lan1", Addrs: prefixes("10.6.0.2/24"), Gateways: []netip.Addr{gw("10.6.0.254")}}},
		{"dhcp", "77e262ca06fc1a7b", Spec{Link: lan, DHCP: &dhcp.Config{}}},
		{"dhcp6", "0a0eba694dce410e", Spec{Link: lan, DHCP: &dhcp.Config{Family: dhcp.IPv6}}},
		{"dhcp,dhcp6", "84126dbe4e8614a6", Spec{Link: lan, DHCP: &dhcp.Config{Family: dhcp.Both}}},
		{"dhcp with options", "26e8e6723756f9d3", Spec{Link: lan, DHCP: &dhcp.Config{Hostname: "web", ClientID: []byte{1, 0x11, 0x22, 0x33, 0x44}, VendorClass: "acme", Parameters: []uint8{42}, Requested: gw("10.77.0.80"), Tries: 4}}},
		{"slaac", "a10c0efe6864916e", Spec{Link: lan, SLAAC: true}},
		{"program", "c8c2f591b9d4aae3", Spec{Link: lan}},

		{"trunks", "6bf66b8ee882bb81", Spec{Link: link.Bridge{Name: "br3", Trunks: []int{10, 20}, Isolated: true, Hairpin: true}}},
		{"macvlan private", "9d0fe664092a39bb", Spec{Link: link.Macvlan{Parent: "eth0", Mode: link.MacvlanPrivate}}},
		{"macvlan VEPA", "3a10a5a7d6616554", Spec{Link: link.Macvlan{Parent: "eth0", Mode: link.MacvlanVEPA, VLAN: 100}}},
		{"macvlan passthru", "468445bd6adf5fb3", Spec{Link: link.Macvlan{Parent: "eth5", Mode: link.MacvlanPassthru}}},
		{"ipvlan", "76c65731b6d0d84c", Spec{Link: link.Ipvlan{Parent: "eth6"}}},
		{"ipvlan l3", "aa7b6be202ff20f9", Spec{Link: link.Ipvlan{Parent: "eth7", Mode: link.IpvlanL3}}},
		{"ipvlan l3s", "24699a92fc846e06", Spec{Link: link.Ipvlan{Parent: "eth6", Mode: link.IpvlanL3S, VLAN: 7}}},
		{"ovs with all", "e23fae265d62ba41", Spec{Link: ovs.Bridge{Name: "ovs0", Trunks: []int{0, 4095}, VLANMode: ovs.NativeTagged, Datapath: ovs.Netdev,
			ExternalIDs: map[string]string{"a": "b", "c": "d"}, OtherConfig: map[string]string{"e": "f"}}}},
		{"MTU", "5e6ac3a26771e26d", Spec{Link: br1, MTU: 1400}},
		{"dhcp with more", "290854e153f86947", Spec{Link: lan, DHCP: &dhcp.Config{Family: dhcp.Both, DUID: []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}, IAID: 7, RapidCommit: true, Broadcast: true, Probe: time.Second, Timeout: 2 * time.Second, ResolvConf: "/etc/resolv.conf"}}},
		{"policy", "1bc741e92819546b", Spec{Link: br1, Addrs: prefixes("10.0.0.2/24"),
			Routes: []link.Route{{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: gw("10.0.0.1"), Metric: 5, Table: 100}},
			Rules:  []link.Rule{{Priority: 100, From: netip.MustParsePrefix("10.0.0.2/32"), Table: 100}},
			Shape:  &link.Shaping{Rate: 1e6}, ShapeIn: &link.Shaping{Rate: 1e6, Delay: time.Millisecond, Loss: 0.5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := c.spec.normal().digest(); got != c.want || err != nil {
				t.Errorf("digest %s, want %s; %v", got, c.want, err)
			}
		})
	}
}
