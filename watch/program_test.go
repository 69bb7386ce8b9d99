//go:build linux

package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestKeepsPrograms has a program that keeps a lease go on whatever ends it: the
// end of whoever started it, its own, and a further line.
func TestKeepsPrograms(t *testing.T) {
	dhcptest.Need(t, "udhcpc")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t)
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	<-r.events // or watch would look at it twice, and start the program anew
	web, p := r.Container(id("web")), r.plugger(s)
	keepOn := typed(t, p, dhcptest.Bridge+" docker:web udhcpc-f")
	first := programOf(t, "web")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, keepOn(ctx)) // Ctrl-C

	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
	second := another(t, first)
	testwait.Eventually(t, "it is kept", func() bool { return w.metrics()["attachments"] == "1" })
	must(t, unix.Kill(second, unix.SIGKILL))
	third := another(t, second)
	testwait.Eventually(t, "it is kept again", func() bool { return strings.Count(w.said.String(), "found as declared") == 2 })
	if said := w.said.String(); !strings.Contains(said, "the address is not renewed any more") {
		t.Error("nothing is said of the end")
	}
	typed(t, p, dhcptest.Bridge+" docker:web fd77::9/64")
	testwait.Eventually(t, "the further line is found", func() bool { return strings.Count(w.said.String(), "fd77::9/64") > 0 })
	fourth := another(t, third)
	r.cut()
	time.Sleep(1500 * time.Millisecond) // it was looked at meanwhile
	if n := w.metrics()[`synchronisations_total{source="test"}`]; n != "2" {
		t.Error("synchronisations:", n)
	}
	if now := programOf(t, "web"); now != fourth {
		t.Errorf("program %d runs instead of %d", now, fourth)
	}
	if now := has(t, web, "eth1"); !strings.Contains(now["eth1"], "10.77.0.") || !strings.Contains(now["eth1"], "fd77::9/64") {
		t.Error(now)
	}
	w.end()
	detached(t, p, "docker:web", "")
}

// TestProgramWasKilled has an interface whose program was killed before it had an
// address.
func TestProgramWasKilled(t *testing.T) {
	dhcptest.Need(t, "udhcpc")
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t)
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	web := r.Container(id("web"))
	_, err := pipework.Attach(t.Context(), web, pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}})
	must(t, err)
	must(t, s.Put(keep.Record{
		Guest: ns.Ref{Kind: ns.Docker, Name: "web", ID: id("web")}, Interface: "eth1",
		Spec: pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}}, Program: &keep.Program{Name: "udhcpc"},
		Source: keep.FromCommand, Phase: keep.Attached,
	}))
	runWatcher(t, &watch.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}})
	testwait.Eventually(t, "it has an address", func() bool { return strings.Contains(plugged(t, web)["eth1"], "[10.77.0.") })
}

// programOf is the number of the udhcpc that keeps a guest's lease; 0: none does.
func programOf(t *testing.T, guest string) int {
	t.Helper()
	text, err := os.ReadFile("/run/udhcpc." + guest + ".pid")
	if os.IsNotExist(err) {
		return 0
	}
	must(t, err)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text))) // of one that is about to start there is none
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err != nil {
		return 0
	}
	return pid
}

// another waits until another program keeps web's lease.
func another(t *testing.T, than int) (pid int) {
	t.Helper()
	testwait.Eventually(t, "another program runs", func() bool {
		pid = programOf(t, "web")
		return pid != 0 && pid != than
	})
	return pid
}
