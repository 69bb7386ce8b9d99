//go:build linux

package docker_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// lan makes a bridge with a router on it, which is a real DHCP server. It returns the server's
// leases, a line each.
func (h *host) lan() (leases func() string) {
	h.t.Helper()
	dnsmasq := dhcptest.Need(h.t, "dnsmasq")
	h.run("sh", "-c", "ip link add lan0 type bridge && echo 0 >/proc/sys/net/ipv6/conf/lan0/accept_dad && ip addr add 10.77.0.1/24 dev lan0 && ip addr add fd77::1/64 dev lan0 && ip link set lan0 up")
	file := filepath.Join(h.t.TempDir(), "leases")
	words := append(h.e.Enter(), dnsmasq, "-k", "-C", "/dev/null", "--port=0", "--interface=lan0", "--bind-dynamic", "--log-dhcp", "--log-facility=-",
		"--dhcp-authoritative", "--dhcp-range=10.77.0.50,10.77.0.99,2m", "--dhcp-option=option:dns-server,10.77.0.53", "--no-ping", "--user=root", "--pid-file=",
		"--enable-ra", "--dhcp-range=fd77::100,fd77::1ff,slaac,64,2m", "--dhcp-leasefile="+file)
	server := exec.Command(words[0], words[1:]...)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log strings.Builder
	server.Stderr = &log
	if err := server.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if h.t.Failed() {
			h.t.Logf("dnsmasq said:\n%s", log.String())
		}
	})
	return func() string {
		text, _ := os.ReadFile(file)
		return strings.TrimSpace(regexp.MustCompile("(?m)^duid .*$").ReplaceAllString(string(text), ""))
	}
}

var null = &network.IPAM{Driver: "null"}

// TestDHCP is a container whose address is one of a real DHCP server's: its first instruction
// sees it, and so does who inspects it; it is renewed, and given back.
func TestDHCP(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	leases := h.lan()
	before := h.left()
	h.network("lan", client.NetworkCreateOptions{IPAM: null, Options: map[string]string{"link": "lan0", "address": "dhcp", "resolv": "true"}})
	got := h.e.Output(t, dockertest.Container{Network: "lan", Cmd: []string{"sh", "-c", "ip -o -4 addr show eth0; ip route"}})
	for _, want := range []string{" inet 10.77.0.", "/24 ", "default via 10.77.0.1 dev eth0"} {
		if !strings.Contains(got, want) {
			t.Errorf("the first instruction sees no %s: %s", want, got)
		}
	}
	testwait.Eventually(t, "the lease is given back", func() bool { return leases() == "" })
	h.nothingLeft(before)

	h.e.Run(t, dockertest.Container{Name: "web", Network: "lan"})
	h.settled(1)
	at := h.e.Inspect(t, "web").NetworkSettings.Networks["lan"]
	text := fmt.Sprintf("%s %s", at.MacAddress, at.IPAddress)
	if out, _ := h.e.Exec(t, "web", "ip", "-o", "-4", "addr", "show", "eth0"); !strings.Contains(out, at.IPAddress.String()+"/24") || !strings.Contains(leases(), text) {
		t.Errorf("inspected as %s, the container has %s, and the server's leases are %s", text, out, leases())
	}
	testwait.Eventually(t, "the address ends with the lease", func() bool {
		out, _ := h.e.Exec(t, "web", "ip", "-4", "addr", "show", "eth0")
		return strings.Contains(out, "valid_lft 1") // a minute and some seconds, not forever
	})
	testwait.Eventually(t, "the name server is in resolv.conf", func() bool {
		out, _ := h.e.Exec(t, "web", "cat", "/etc/resolv.conf")
		return strings.Contains(out, "nameserver 10.77.0.53")
	})
	// The driver dies; another one takes the lease up, and gives it back.
	h.kill()
	h.drive()
	h.e.Restart(t, "web")
	if now := h.e.Inspect(t, "web").NetworkSettings.Networks["lan"].IPAddress; now != at.IPAddress {
		t.Errorf("the address was %s, and is %s after a restart", at.IPAddress, now)
	}
	h.e.Remove(t, "web")
	h.e.Run(t, dockertest.Container{Name: "other", Network: "lan", Endpoint: &network.EndpointSettings{DriverOpts: map[string]string{"mac": "02:00:00:00:07:07"}}})
	if is := h.e.Inspect(t, "other").NetworkSettings.Networks["lan"].MacAddress.String(); is != "02:00:00:00:07:07" {
		t.Errorf("the MAC is %s", is)
	}
	h.e.Remove(t, "other")
	testwait.Eventually(t, "the lease is given back", func() bool { return leases() == "" })
	h.nothingLeft(before)
}

// TestIPv6 is a container whose IPv6 address is one of a DHCPv6 server's, or one that a router
// advertises the prefix of.
func TestIPv6(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	leases := h.lan()
	before := h.left()
	for _, address := range []string{"dhcp6", "dhcp,slaac"} {
		h.network("lan", client.NetworkCreateOptions{IPAM: null, Options: map[string]string{"link": "lan0", "address": address}})
		h.e.Run(t, dockertest.Container{Name: "web", Network: "lan"})
		h.settled(1)
		at := h.e.Inspect(t, "web").NetworkSettings.Networks["lan"]
		if out, _ := h.e.Exec(t, "web", "ip", "-o", "-6", "addr", "show", "eth0"); !at.GlobalIPv6Address.IsValid() || !strings.Contains(out, at.GlobalIPv6Address.String()+"/") {
			t.Errorf("%s: inspected as %s, the container has %s", address, at.GlobalIPv6Address, out)
		}
		testwait.Eventually(t, "a default route is advertised", func() bool {
			out, _ := h.e.Exec(t, "web", "ip", "-6", "route")
			return strings.Contains(out, "default via fe80::")
		})
		h.e.Remove(t, "web")
		testwait.Eventually(t, "the lease is given back", func() bool { return leases() == "" })
		h.removeNetwork("lan")
		h.nothingLeft(before)
	}
}
