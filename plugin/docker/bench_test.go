//go:build linux

package docker_test

import (
	"testing"

	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dockertest"
)

// BenchmarkStart starts and removes a container on a network: one without any, of Docker's own
// bridge and macvlan, and of ours beside them.
func BenchmarkStart(b *testing.B) {
	h := newHost(b)
	h.e.Image(b)
	h.lan()
	h.run("ip", "link", "add", "nic0", "type", "veth", "peer", "name", "nic0p")
	for _, name := range []string{"nic0", "nic0p"} {
		h.run("ip", "link", "set", name, "up")
	}
	for _, row := range []struct {
		name, driver string
		options      client.NetworkCreateOptions
	}{
		{"none", "", client.NetworkCreateOptions{}},
		{"docker-bridge", "bridge", client.NetworkCreateOptions{IPAM: subnet("10.11.0.0/24")}},
		{"pipework-bridge", "pipework", client.NetworkCreateOptions{IPAM: subnet("10.12.0.0/24"), Options: map[string]string{"link": "br-bench"}}},
		{"docker-macvlan", "macvlan", client.NetworkCreateOptions{IPAM: subnet("10.13.0.0/24"), Options: map[string]string{"parent": "nic0"}}},
		{"pipework-macvlan", "pipework", client.NetworkCreateOptions{IPAM: subnet("10.14.0.0/24"), Options: map[string]string{"link": "macvlan:nic0"}}},
		{"pipework-dhcp", "pipework", client.NetworkCreateOptions{IPAM: null, Options: map[string]string{"link": "lan0", "address": "dhcp"}}},
	} {
		b.Run(row.name, func(b *testing.B) {
			network := "none"
			if row.driver != "" {
				network = "bench"
				row.options.Driver = row.driver
				if _, err := h.e.Client().NetworkCreate(b.Context(), network, row.options); err != nil {
					b.Fatal(err)
				}
				defer h.removeNetwork(network)
			}
			for b.Loop() {
				b.StopTimer()
				id := h.e.Create(b, dockertest.Container{Network: network})
				b.StartTimer()
				h.e.StartContainer(b, id)
				b.StopTimer()
				h.e.Remove(b, id)
				b.StartTimer()
			}
		})
	}
}
