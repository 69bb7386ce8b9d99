//go:build linux

package watch_test

import (
	"os"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestNICComesBack restarts a container that has the host's NIC itself, and then
// ends it: the kernel returns the NIC to the host each time. Only the QEMU lane has
// one that outlives its namespace.
func TestNICComesBack(t *testing.T) {
	if os.Getenv("PIPEWORK_LANE") != "qemu" {
		t.Skip("no NIC here that outlives its namespace")
	}
	r := newRuntime(t)
	runWatcher(t, &watch.Watcher{Sources: []ns.Source{r}})
	world := nstest.Observe(t)
	r.run("web", map[string]string{"pipework.lan": "--direct-phys eth0 10.9.0.1/24"})
	for range 3 {
		has(t, r.Container(id("web")), "lan")
		r.restart("web")
	}
	has(t, r.Container(id("web")), "lan")
	r.kill("web")
	testwait.Eventually(t, "the NIC is back", func() bool { return nstest.NoLink(t, "eth0") != nil })
	world.Unchanged(t)
}
