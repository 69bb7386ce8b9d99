//go:build linux

package find_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

// A lane is one guest of one runtime, which runs.
type lane struct {
	words   []string // what it is called, the bare name first
	id      ns.Identity
	restart func()
}

// Guests of this package are called fweb and fdb: a control group is seen by whoever
// looks for a bare name on this machine, such as the tests of other packages, which
// call theirs web.

// drive runs the command on a guest as people do, under each of its names: attach,
// ping, restart, attach again, detach.
func (l lane) drive(t *testing.T) {
	t.Helper()
	command := build(t)
	host, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	lan(t)
	world := nstest.Observe(t, host)
	for _, word := range l.words {
		if out := runtimetest.Run(t, command, "lan", word, "10.66.0.2/24"); !strings.HasPrefix(out, l.id.Name+": eth1 on bridge:lan") {
			t.Errorf("attach to %s: %s", word, out)
		}
		nstest.Ping(t, host, "10.66.0.2")
		before := l.opened(t, word)

		l.restart()
		if now := l.opened(t, word); now.PID == before.PID {
			t.Errorf("%s after its restart is still process %d", word, now.PID)
		}
		if out := runtimetest.Run(t, command, "lan", word, "10.66.0.2/24"); strings.Contains(out, "was there already") {
			t.Errorf("attach to %s after its restart: %s", word, out)
		}
		nstest.Ping(t, host, "10.66.0.2")

		if out := runtimetest.Run(t, command, "detach", word); !strings.HasPrefix(out, l.id.Name+": eth1 detached from bridge:lan") {
			t.Errorf("detach of %s: %s", word, out)
		}
		if out := runtimetest.Run(t, command, "detach", word); !strings.Contains(out, "nothing to detach") {
			t.Errorf("detach of %s again: %s", word, out)
		}
	}
	world.Unchanged(t)
}

// lan makes the bridge that guests are plugged into, where the host is 10.66.0.1,
// with a wire that gives it a carrier before and after.
func lan(t *testing.T) {
	t.Helper()
	runtimetest.Run(t, "sh", "-ec", `
		ip link add lan address 02:00:00:00:66:01 type bridge
		ip link add wire1 up master lan type veth peer name wire2
		ip link set wire2 up
		ip link set lan up
		ip addr add 10.66.0.1/24 dev lan`)
	t.Cleanup(func() { runtimetest.Run(t, "sh", "-ec", "ip link del wire2; ip link del lan") })
	testwait.Eventually(t, "the bridge has a carrier", func() bool {
		out, _ := os.ReadFile("/sys/class/net/lan/operstate")
		return string(out) == "up\n"
	})
}

// opened is who a word finds.
func (l lane) opened(t *testing.T, word string) ns.Identity {
	t.Helper()
	g, err := find.Guest(word).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	want := l.id
	want.PID = g.PID
	if g.Identity != want || g.PID == 0 {
		t.Errorf("%s is %+v, want %+v", word, g.Identity, want)
	}
	return g.Identity
}

// fails opens what a word means, and expects this error and class.
func fails(t *testing.T, word string, class error, text string) {
	t.Helper()
	g, err := find.Guest(word).Open(t.Context())
	if err == nil {
		_ = g.Close()
		t.Errorf("%s is %+v", word, g.Identity)
		return
	}
	if !errors.Is(err, class) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error\n%q, want\n%q, a %v", word, err, text, class)
	}
	if !errors.Is(class, fs.ErrNotExist) && errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v counts as not there", word, err)
	}
}

// build builds the command, once: /run is this machine's own.
func build(t *testing.T) string {
	t.Helper()
	const path = "/run/bin/pipework"
	if _, err := os.Stat(path); err != nil {
		runtimetest.Run(t, "go", "build", "-o", path, "../../cmd/pipework")
	}
	return path
}
