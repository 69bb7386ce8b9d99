//go:build linux

package docker_test

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// A compose is what this test understands of a compose file.
type compose struct {
	Services map[string]struct {
		Networks map[string]struct {
			IPv4   string            `yaml:"ipv4_address"`
			Driver map[string]string `yaml:"driver_opts"`
		}
	}
	Networks map[string]struct {
		Driver   string
		Internal bool
		Options  map[string]string `yaml:"driver_opts"`
		IPAM     struct {
			Driver string
			Config []struct{ Subnet, Gateway string }
		}
	}
}

// read reads the file of this name from the documentation. An option is changed by what is known
// of this machine.
func read(t *testing.T, name string, known func(options map[string]string)) (c compose) {
	t.Helper()
	page, err := os.ReadFile("../../docs/docker-driver.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, is := strings.Cut(string(page), "```yaml\n# compose: "+name+"\n")
	text, _, ends := strings.Cut(rest, "```")
	if !is || !ends {
		t.Fatalf("the page has no compose file %s", name)
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Networks {
		known(n.Options)
	}
	return c
}

// up does what `docker compose up` asks Docker for.
func (h *host) up(c compose) {
	h.t.Helper()
	for name, n := range c.Networks {
		o := client.NetworkCreateOptions{Options: n.Options, Internal: n.Internal, IPAM: &network.IPAM{Driver: n.IPAM.Driver}}
		for _, s := range n.IPAM.Config {
			config := network.IPAMConfig{Subnet: netip.MustParsePrefix(s.Subnet)}
			config.Gateway, _ = netip.ParseAddr(s.Gateway)
			o.IPAM.Config = append(o.IPAM.Config, config)
		}
		h.network(name, o)
	}
	for name, s := range c.Services {
		on := slices.Sorted(maps.Keys(s.Networks))
		endpoint := func(net string) *network.EndpointSettings {
			e := &network.EndpointSettings{DriverOpts: s.Networks[net].Driver}
			if ip, err := netip.ParseAddr(s.Networks[net].IPv4); err == nil {
				e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: ip}
			}
			return e
		}
		h.e.Create(h.t, dockertest.Container{Name: name, Network: on[0], Endpoint: endpoint(on[0])})
		for _, net := range on[1:] {
			if _, err := h.e.Client().NetworkConnect(h.t.Context(), net, client.NetworkConnectOptions{Container: name, EndpointConfig: endpoint(net)}); err != nil {
				h.t.Fatal(err)
			}
		}
		h.e.StartContainer(h.t, name)
	}
}

// down does what `docker compose down` does.
func (h *host) down(c compose) {
	h.t.Helper()
	for name := range c.Services {
		h.e.Remove(h.t, name)
	}
	for name := range c.Networks {
		h.removeNetwork(name)
	}
}

// TestCompose has the compose files of the documentation up, by what compose asks Docker for, and
// down.
func TestCompose(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	leases := h.lan()
	before := h.left()

	c := read(t, "lan", func(o map[string]string) { o["link"] = "lan0" })
	h.up(c)
	h.settled(2)
	for _, want := range []string{"02:00:00:00:01:01", "02:00:00:00:01:02", " homeassistant ", " pihole "} {
		if !strings.Contains(leases(), want) {
			t.Errorf("the server has no lease of %s: %s", want, leases())
		}
	}
	h.down(c)
	testwait.Eventually(t, "the leases are given back", func() bool { return leases() == "" })
	h.nothingLeft(before)

	// Bridges of this kernel may have no VLANs: each has a bridge.
	c = read(t, "vlans", func(o map[string]string) {
		o["link"] += o["vlan"]
		delete(o, "vlan")
	})
	h.up(c)
	h.settled(4)
	h.ping("proxy", h.e.Inspect(t, "app").NetworkSettings.Networks["back"].IPAddress.String())
	if out, _ := h.e.Exec(t, "proxy", "ip", "route"); !strings.Contains(out, "default via 10.1.0.254 dev ") {
		t.Errorf("routes: %s", out)
	}
	h.down(c)
	h.nothingLeft(before)
}
