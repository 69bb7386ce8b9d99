//go:build linux

package docker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// TestKilled kills the driver, and dockerd, at each message of a container's life, before it is
// done and before it is answered. Afterwards the container runs with its network, or can be
// started, and nothing is left once it is removed.
func TestKilled(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	leases := h.lan()
	before := h.left()
	h.network("dhcp", client.NetworkCreateOptions{IPAM: null, Options: map[string]string{"link": "lan0", "address": "dhcp"}})
	h.network("lan", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Options: map[string]string{"link": "br-lan"}})
	for _, message := range []string{"CreateEndpoint", "Join", "Leave", "DeleteEndpoint"} {
		for _, when := range []string{"", " after"} {
			for _, victim := range []string{"driver", "dockerd"} {
				for _, network := range []string{"lan", "dhcp"} {
					if os.Getenv("PIPEWORK_LONG") == "" && !few[victim+" "+network+" "+message+when] {
						continue
					}
					t.Run(strings.Join([]string{victim, "at", message + when, "of", network}, " "), func(t *testing.T) {
						defer func(was testing.TB) { h.t = was }(h.t)
						h.t = t
						h.killed(victim, "NetworkDriver."+message+when, network)
						h.nothingLeft(before)
						if victim == "driver" || !strings.Contains(message, "Leave") {
							testwait.Eventually(t, "leases are given back", func() bool { return leases() == "" })
						}
					})
				}
			}
		}
	}
	h.removeNetwork("lan")
	h.removeNetwork("dhcp")
	if files, _ := filepath.Glob(h.state + "/[a-z]*"); len(files) > 0 {
		t.Errorf("left: %q", files)
	}
}

// few are those that are tried each time; the long tests try all.
var few = map[string]bool{
	"driver lan CreateEndpoint after": true, "dockerd lan CreateEndpoint after": true,
	"driver lan Join": true, "driver dhcp Join after": true, "dockerd dhcp Join": true, "driver dhcp Leave": true,
}

// killed kills the victim at the message, and brings it back.
func (h *host) killed(victim, message, network string) {
	h.t.Helper()
	h.kill()
	h.driveTo(message)
	id := h.e.Create(h.t, dockertest.Container{Network: network})
	c, done := h.e.Client(), make(chan struct{})
	go func() { // which may fail
		defer close(done)
		_, _ = c.ContainerStart(h.t.Context(), id, client.ContainerStartOptions{})
		if strings.Contains(message, "Leave") || strings.Contains(message, "DeleteEndpoint") {
			_, _ = c.ContainerKill(h.t.Context(), id, client.ContainerKillOptions{Signal: "KILL"})
			wait := c.ContainerWait(h.t.Context(), id, client.ContainerWaitOptions{})
			select {
			case <-wait.Result:
			case <-wait.Error: // Docker is gone
			}
		}
	}()
	if _, err := h.there.ReadString('\n'); err != nil {
		h.t.Fatal(err)
	}
	switch victim {
	case "driver":
		h.kill()
		h.drive()
	case "dockerd":
		h.e.Kill(h.t)
		_, _ = h.goOn.Write([]byte("\n"))
		h.e.Boot(h.t)
	}
	<-done
	h.e.StartContainer(h.t, id) // nothing is done where it runs
	if out, _ := h.e.Exec(h.t, id, "ip", "-o", "-4", "addr", "show", "eth0"); !strings.Contains(out, map[string]string{"lan": " 10.9.0.", "dhcp": " 10.77.0."}[network]) {
		h.t.Errorf("no eth0: %s", out)
	}
	h.settled(1)
	h.e.Remove(h.t, id)
}
