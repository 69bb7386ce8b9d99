package link

import (
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// The real device is preferred over those that borrow its address.
func TestByAddress(t *testing.T) {
	links := []*rtnl.Link{
		{Index: 1, Name: "eth0", MAC: mac(1), Master: 4},
		{Index: 2, Name: "eth0.5", MAC: mac(1), Parent: 1, Kind: "vlan"},
		{Index: 3, Name: "mv0", MAC: mac(1), Parent: 1, Kind: "macvlan"},
		{Index: 4, Name: "br0", MAC: mac(1), Kind: "bridge"},
		{Index: 5, Name: "br0.7", MAC: mac(1), Parent: 4, Kind: "vlan"},
		{Index: 6, Name: "ovsbr0", MAC: mac(1), Kind: "openvswitch"},

		{Index: 10, Name: "eth1", MAC: mac(2), Master: 12},
		{Index: 11, Name: "eth2", MAC: mac(2), Master: 12},
		{Index: 12, Name: "bond0", MAC: mac(2), Kind: "bond"},
		{Index: 13, Name: "bond0.5", MAC: mac(2), Parent: 12, Kind: "vlan"},

		{Index: 20, Name: "eth3", MAC: mac(3)},
		{Index: 21, Name: "eth4", MAC: mac(3)},
		{Index: 22, Name: "eth4.1", MAC: mac(3), Parent: 21, Kind: "vlan"},

		{Index: 30, Name: "br1", MAC: mac(4), Kind: "bridge"},

		{Index: 40, Name: "va", MAC: mac(5), Parent: 41, Kind: "veth"},
		{Index: 41, Name: "vb", MAC: mac(5), Parent: 40, Kind: "veth"},
		{Index: 42, Name: "mv1", MAC: mac(6), Parent: 1, Foreign: true, Kind: "macvlan"},
		{Index: 43, Name: "eth5", MAC: mac(6)},
	}
	for last, want := range map[byte]string{1: "eth0", 2: "bond0", 4: "br1"} {
		if l, err := byAddress(links, mac(last)); err != nil || l.Name != want {
			t.Errorf("%v: %+v, %v, want %s", mac(last), l, err, want)
		}
	}
	for last, says := range map[byte]string{3: "name one of eth3, eth4, eth4.1", 5: "va, vb", 6: "eth5, mv1", 9: "eth5 02:00:00:00:00:06"} {
		if l, err := byAddress(links, mac(last)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %+v, %v, want %q", mac(last), l, err, says)
		}
	}
}

// A device type alone makes no IPoIB interface.
func TestIsIPoIB(t *testing.T) {
	address := make([]byte, 20)
	for _, c := range []struct {
		name string
		link rtnl.Link
		want bool
	}{
		{"port or child", rtnl.Link{Type: 32, MAC: address, Kind: "ipoib"}, true},
		{"port before Linux 4.19", rtnl.Link{Type: 32, MAC: address}, true},
		{"tun", rtnl.Link{Type: 32, Kind: "tun"}, false},
		{"tun with an address", rtnl.Link{Type: 32, MAC: address, Kind: "tun"}, false},
		{"no address", rtnl.Link{Type: 32}, false},
		{"Ethernet", rtnl.Link{Type: 1, MAC: mac(1)}, false},
	} {
		if got := isIPoIB(&c.link); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
