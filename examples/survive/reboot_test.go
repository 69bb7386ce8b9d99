//go:build linux

package main

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// services reads compose.yaml, as far as that is used in it.
func services(t *testing.T) (all []dockertest.Container) {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		value = strings.Trim(value, `"`)
		switch depth := len(line) - len(strings.TrimLeft(line, " ")); {
		case depth == 2:
			all = append(all, dockertest.Container{Name: strings.TrimSuffix(key, ":"), Network: "none", Restart: "always", Labels: map[string]string{}})
		case strings.HasPrefix(key, "pipework."):
			all[len(all)-1].Labels[key] = value
		case strings.HasPrefix(key, "pipework_"):
			all[len(all)-1].Env = append(all[len(all)-1].Env, key+"="+value)
		}
	}
	return all
}

// TestReboot has the machine lose its power, twice: once the engine comes back
// before the daemon does, and once after it.
func TestReboot(t *testing.T) {
	l := newLane(t)
	d := l.watch(t)
	for _, s := range services(t) {
		l.Run(t, s)
	}
	first := map[string]map[string]string{"web": l.await(t, "web", 3), "db": l.await(t, "db", 3)}
	l.reachable(t)
	for _, order := range []string{"the engine first", "the daemon first"} {
		t.Run(order, func(t *testing.T) {
			d.kill()
			l.Crash(t)
			l.lose(t, "br1")
			if order == "the daemon first" {
				d = l.watch(t)
				time.Sleep(300 * time.Millisecond) // it finds no engine, and tries again
				l.Boot(t)
			} else {
				l.Boot(t)
				d = l.watch(t)
			}
			now := map[string]map[string]string{"web": l.await(t, "web", 3), "db": l.await(t, "db", 3)}
			if diff := cmp.Diff(first, now); diff != "" {
				t.Error(diff)
			}
			l.reachable(t)
		})
	}
}

// await waits until the container has so many interfaces, each with an address.
func (l *lane) await(t *testing.T, container string, n int) map[string]string {
	t.Helper()
	var found map[string]string
	testwait.Eventually(t, container+" has its interfaces", func() bool {
		found = l.plugged(t, container)
		bare := func(at string) bool { return strings.Count(at, " ") < 2 } // link, MAC, and nothing yet
		return len(found) == n && !slices.ContainsFunc(slices.Collect(maps.Values(found)), bare)
	})
	return found
}

// reachable has db ping web on every network.
func (l *lane) reachable(t *testing.T) {
	t.Helper()
	for _, addr := range []string{"10.1.0.1", "10.2.0.1", "10.3.0.1"} {
		if out, status := l.Exec(t, "db", "ping", "-c", "1", "-W", "5", addr); status != 0 {
			t.Errorf("db does not reach %s:\n%s", addr, out)
		}
	}
}

// lose removes a link of the host's, as a reboot does.
func (l *lane) lose(t *testing.T, name string) {
	t.Helper()
	h, err := l.HostNS().Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(link)
	}
	if err != nil {
		t.Fatal(errors.Join(err))
	}
}
