//go:build linux

package cni_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// podmanSettings have Podman call CNI plugins, in these directories.
const podmanSettings = `[network]
network_backend = "cni"
cni_plugin_dirs = ["%[1]s", "/usr/lib/cni"]
network_config_dir = "%[1]s/net"
`

// podman has it call the plugin, for these networks.
func podman(t *testing.T, networks map[string]string) (r *runtime, run func(args ...string) string) {
	t.Helper()
	r = newRuntime(t)
	dir := filepath.Dir(r.state)
	runtimetest.Podman(t, fmt.Sprintf(podmanSettings, dir))
	for name, plugins := range networks {
		write(t, filepath.Join(dir, "net", name+".conflist"), fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %q, "plugins": [{%s}]}`, name, plugins))
	}
	return r, func(args ...string) string { return runtimetest.Run(t, "podman", args...) }
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// hostLocal has CNI's own plugin give addresses.
func hostLocal(t *testing.T) string {
	return `, "ipam": {"type": "host-local", "dataDir": "` + t.TempDir() + `", "ranges": [[{"subnet": "10.5.0.0/24", "gateway": "10.5.0.1"}]], "routes": [{"dst": "0.0.0.0/0"}]}`
}

// TestPodman has Podman's containers see their address from the first instruction on.
func TestPodman(t *testing.T) {
	r, run := podman(t, map[string]string{
		"lan":  `"type": "pipework", "link": "br-cni"` + hostLocal(t),
		"more": `"type": "pipework", "link": {"bridge": {"name": "br-more"}}, "addrs": ["10.6.0.2/24"]`,
	})
	rootfs := runtimetest.Rootfs(t)
	before := nstest.Observe(t)
	first := run("run", "--rm", "--network", "lan:ip=10.5.0.77,mac=02:00:00:00:00:77", "--network", "more", "--rootfs", rootfs, "/bin/ip", "-o", "addr")
	for _, want := range []string{"10.5.0.77/24", "10.6.0.2/24"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in\n%s", want, first)
		}
	}
	r.nothingLeft()
	run("run", "-d", "--name", "fweb", "--network", "lan", "--rootfs", rootfs, "/bin/sleep", "100000")
	run("restart", "-t", "0", "fweb")
	if out := run("exec", "fweb", "/bin/ip", "-o", "-4", "addr", "show", "eth0"); !strings.Contains(out, "10.5.0.") {
		t.Errorf("after a restart: %s", out)
	}
	run("network", "connect", "more", "fweb")
	if out := run("exec", "fweb", "/bin/ip", "-o", "-4", "addr"); !strings.Contains(out, "10.6.0.2/24") {
		t.Errorf("connected: %s", out)
	}
	run("network", "disconnect", "more", "fweb")
	run("kill", "fweb")
	testwait.Eventually(t, "nothing is recorded of a container that was killed", func() bool { return len(r.records()) == 0 })
	run("rm", "-f", "-t", "0", "fweb")
	r.nothingLeft()
	before.Unchanged(t)
}

// TestPodmanAtOnce starts many containers at a time.
func TestPodmanAtOnce(t *testing.T) {
	r, run := podman(t, map[string]string{"lan": `"type": "pipework", "link": "br-cni"` + hostLocal(t)})
	rootfs, before := runtimetest.Rootfs(t), nstest.Observe(t)
	many := 6
	if os.Getenv("PIPEWORK_LONG") != "" {
		many = 100
	}
	seen, failed := make([]string, many), make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			out, err := exec.CommandContext(t.Context(), "podman", "run", "--rm", "--network", "lan", "--rootfs", rootfs, "/bin/ip", "-o", "-4", "addr", "show", "eth0").CombinedOutput()
			seen[i], failed[i] = string(out), err
		})
	}
	all.Wait()
	for i, out := range seen {
		if failed[i] != nil || !strings.Contains(out, " 10.5.0.") {
			t.Errorf("%v: %s", failed[i], out)
		}
	}
	run("ps", "-a")
	r.nothingLeft()
	before.Unchanged(t)
}

// TestPodmanRefuses: the start fails with our line, and leaves nothing.
func TestPodmanRefuses(t *testing.T) {
	r, run := podman(t, map[string]string{"lan": `"type": "pipework", "link": "macvlan:nosuch0"`})
	before := nstest.Observe(t)
	out, err := runtimetest.Try(t, "podman", "run", "--name", "fweb", "--network", "lan", "--rootfs", runtimetest.Rootfs(t), "/bin/true")
	if err == nil || !strings.Contains(out, "nosuch0") {
		t.Errorf("%v: %s", err, out)
	}
	run("rm", "-f", "-t", "0", "fweb")
	r.nothingLeft()
	before.Unchanged(t)
}
