//go:build linux

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/ovstest"
)

// restarts are enough for a kill to hit each part of what the daemon does.
const restarts = 50

// TestRestarts restarts a container with three interfaces under running pings, and
// kills the daemon at random moments in every fifth restart.
func TestRestarts(t *testing.T) {
	l := newLane(t)
	d := l.watch(t)
	begun := time.Now()
	l.Run(t, dockertest.Container{Name: "web", Network: "none", Labels: labels})
	l.answered(t, begun)
	first := l.plugged(t, "web")
	if len(first) != 3 {
		t.Fatalf("plugged in: %v", first)
	}
	var quiet, killed []time.Duration
	for i := range restarts {
		kill, dead := i%5 == 4, make(chan struct{})
		if kill {
			time.AfterFunc(100*time.Millisecond+rand.N(250*time.Millisecond), func() { d.kill(); close(dead) })
		}
		l.Restart(t, "web")
		if kill {
			<-dead
			d = l.watch(t)
		}
		started, err := time.Parse(time.RFC3339Nano, l.Inspect(t, "web").State.StartedAt)
		if err != nil {
			t.Fatal(err)
		}
		// Before, the dead namespace may still answer: the kernel removes it when it has time.
		l.awaitPlugged(t, first)
		took := l.answered(t, started).Sub(started)
		if now := l.plugged(t, "web"); !maps.Equal(first, now) {
			t.Errorf("after restart %d: %v, was %v", i+1, now, first)
		}
		if kill {
			killed = append(killed, took)
		} else {
			quiet = append(quiet, took)
		}
	}
	if out := l.run(t, "check"); strings.Count(out, " ok\n") != 3 {
		t.Errorf("check:\n%s", out)
	}
	// The peer's port and the container's; those that the dead and the killed left go.
	ovstest.Wait(t, "the ports of the dead", func() error {
		if ports := strings.Fields(l.db.Vsctl(t, "list-ports", "ovs0")); len(ports) != 2 {
			return fmt.Errorf("ports %v", ports)
		}
		return nil
	})
	slices.Sort(quiet)
	slices.Sort(killed)
	t.Logf("from the start to the first answered ping on all three networks, %d restarts: median %v, worst %v; %d with the daemon killed: median %v, worst %v",
		len(quiet), quiet[len(quiet)/2], quiet[len(quiet)-1], len(killed), killed[len(killed)/2], killed[len(killed)-1])
}
