//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/dockertest"
)

// TestTyped has the command line and the daemon work side by side.
func TestTyped(t *testing.T) {
	l := newLane(t)
	l.watch(t)
	l.Run(t, dockertest.Container{Name: "web", Network: "none", Labels: map[string]string{"pipework.eth1": "br1 10.1.0.1/24"}})
	l.await(t, "web", 1)
	l.run(t, "br1", "-i", "eth4", "web", "10.4.0.1/24")
	l.run(t, "lan0", "-i", "eth5", "web", "10.5.0.1/24", "02:00:00:00:00:05")
	first := l.await(t, "web", 3)
	for range 3 {
		l.Restart(t, "web")
		if diff := cmp.Diff(first, l.await(t, "web", 3)); diff != "" {
			t.Error(diff)
		}
	}
	l.run(t, "br1", "-i", "eth4", "web", "10.4.0.1/24") // again: there is nothing to do
	if diff := cmp.Diff(first, l.await(t, "web", 3)); diff != "" {
		t.Error(diff)
	}
	if out := l.run(t, "check"); strings.Count(out, "ok\n") != 3 {
		t.Errorf("check:\n%s", out)
	}
	l.run(t, "detach", "web", "-i", "eth5")
	l.Restart(t, "web")
	if now := l.await(t, "web", 2); now["eth5"] != "" {
		t.Errorf("it is back after it was detached: %v", now)
	}
	l.Remove(t, "web")
	if out := l.run(t, "gc"); strings.Contains(out, "eth4") {
		t.Errorf("what is declared is collected: %s", out)
	}
	l.Run(t, dockertest.Container{Name: "web", Network: "none"}) // without labels
	if now := l.await(t, "web", 1); now["eth4"] != first["eth4"] {
		t.Errorf("made anew: %v, before %v", now, first)
	}
}

// run runs the command on the lane's host.
func (l *lane) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(l.command, args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+l.Sock(), "PIPEWORK_STATE="+filepath.Join(l.state, "records"))
	var out []byte
	err := l.HostNS().Do(t.Context(), func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		t.Errorf("pipework %q: %v\n%s", args, err, out)
	}
	return string(out)
}
