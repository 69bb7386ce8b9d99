//go:build linux

package docker_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/plugin/docker"
)

// TestOptions is what -o, and --driver-opt of a container, can say.
func TestOptions(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	h.run("ip", "link", "add", "nic0", "type", "veth", "peer", "name", "nic0p")
	before := h.left()
	show := []string{"sh", "-c", "ip -o addr; ip -o link; ip route"}
	for _, row := range []struct {
		name     string
		network  client.NetworkCreateOptions
		endpoint *network.EndpointSettings
		want     []string
		not      string
	}{
		{"a macvlan", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Options: map[string]string{"link": "macvlan:nic0", "mtu": "1400"}},
			nil, []string{"eth0    inet 10.9.0.2/24", "mtu 1400", "default via 10.9.0.1"}, ""},
		{"an address and a MAC of one's choice", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Options: map[string]string{"link": "br-lan"}},
			&network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.9.0.77")}, DriverOpts: map[string]string{"mac": "02:00:00:00:07:07", "egress": "rate=10mbit"}},
			[]string{"inet 10.9.0.77/24", "02:00:00:00:07:07"}, ""},
		{"an internal network", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Internal: true, Options: map[string]string{"link": "br-lan", "isolated": "true"}},
			nil, []string{"inet 10.9.0.2/24"}, "default"},
		{"both families", client.NetworkCreateOptions{EnableIPv6: new(true), IPAM: &network.IPAM{Config: []network.IPAMConfig{subnet("10.9.0.0/24").Config[0], subnet("fd09::/64").Config[0]}}, Options: map[string]string{"link": "br-lan", "pin": "true"}},
			nil, []string{"inet 10.9.0.2/24", "inet6 fd09::2/64"}, ""},
		{"no address", client.NetworkCreateOptions{IPAM: null, Options: map[string]string{"link": "br-lan"}},
			nil, []string{"eth0"}, "eth0    inet "},
	} {
		t.Run(row.name, func(t *testing.T) {
			defer func(was testing.TB) { h.t = was }(h.t)
			h.t = t
			h.network("lan", row.network)
			got := h.e.Output(t, dockertest.Container{Network: "lan", Cmd: show, Endpoint: row.endpoint})
			for _, want := range row.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
			if row.not != "" && strings.Contains(got, row.not) {
				t.Errorf("%s is in %s", row.not, got)
			}
			id := h.e.Run(t, dockertest.Container{Network: "lan", Endpoint: row.endpoint})
			h.settled(1)
			h.e.Remove(t, id)
			h.removeNetwork("lan")
			h.nothingLeft(before)
		})
	}
	for options, says := range map[string]string{
		"":                        "option link is missing",
		"link=br1 vlam=7":         "option vlam is not known",
		"link=br1 vlan=4095":      "the VLAN",
		"link=br1 address=dhcp":   "--ipam-driver null",
		"link=macvlan:nosuch0":    "nosuch0",
		"link=phys:nic0":          "a network cannot be on phys:nic0",
		"link=br1 mac=02:01":      "an option of a container on a network",
		"link=br1 address=udhcpc": "no DHCP client program",
	} {
		o := client.NetworkCreateOptions{Driver: docker.Name, IPAM: subnet("10.9.0.0/24"), Options: map[string]string{}}
		for pair := range strings.FieldsSeq(options) {
			k, v, _ := strings.Cut(pair, "=")
			o.Options[k] = v
		}
		if _, err := h.e.Client().NetworkCreate(t.Context(), "lan", o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", options, err)
		}
	}
	h.nothingLeft(before)
}
