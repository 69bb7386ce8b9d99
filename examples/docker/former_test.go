//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/dockertest"
)

// TestSharedNetworkOutlivesARestart restarts a container whose network another one shares,
// and thereby keeps: what was plugged into it before goes, and gc knows it.
func TestSharedNetworkOutlivesARestart(t *testing.T) {
	h := newHost(t)
	h.Image(t)
	h.Run(t, dockertest.Container{Name: "web"})
	h.Run(t, dockertest.Container{Name: "side", Network: "container:web"})
	h.Run(t, dockertest.Container{Name: "db", Network: "none"})
	h.ok(t, "pipework", "br1", "web", "192.168.1.1/24", "02:00:00:00:00:21")
	h.ok(t, "pipework", "br1", "db", "192.168.1.2/24")
	h.Restart(t, "web")
	if out := h.in(t, "side", "ip", "link"); !strings.Contains(out, "eth1") {
		t.Fatalf("the old network has no eth1: this engine proves nothing\n%s", out)
	}
	if out := h.ok(t, "pipework", "gc", "--dry-run"); !strings.Contains(out, "eth1 of docker:web would be removed: it is in the network namespace that the guest had before") {
		t.Errorf("gc --dry-run: %s", out)
	}
	h.ok(t, "pipework", "br1", "web", "192.168.1.1/24", "02:00:00:00:00:21")
	if out := h.in(t, "side", "ip", "link"); strings.Contains(out, "eth1") {
		t.Errorf("the old network still has it:\n%s", out)
	}
	h.in(t, "db", "ping", "-c", "1", "-W", "2", "192.168.1.1")
	if out := h.ok(t, "pipework", "list"); strings.Count(out, "bridge:br1") != 2 {
		t.Errorf("list:\n%s", out)
	}
	if out := h.ok(t, "pipework", "gc"); strings.Contains(out, "eth1") {
		t.Errorf("gc: %s", out)
	}
	h.ok(t, "pipework", "detach", "web")
	h.ok(t, "pipework", "detach", "db")
}
