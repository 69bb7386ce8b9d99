//go:build linux

package find_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/ns"
)

const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "%s"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%[1]s/containerd.sock"
`

// containerd starts one with this state directory, and returns its ctr.
func containerd(t *testing.T, state string) func(args ...string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, containerdConfig, state), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	runtimetest.Daemon(t, "containerd", "--config", config)
	runtimetest.Socket(t, state+"/containerd.sock")
	return func(args ...string) string {
		t.Helper()
		return runtimetest.Run(t, "ctr", append([]string{"-a", state + "/containerd.sock", "-n", "default"}, args...)...)
	}
}

func TestContainerd(t *testing.T) {
	runtimetest.Require(t, "containerd", "containerd", "ctr", "runc", "busybox")
	fails(t, "containerd:fweb", fs.ErrNotExist, "no containerd here: there is no /run/containerd/io.containerd.runtime.v2.task")
	ctr := containerd(t, "/run/containerd")
	ctr("run", "-d", "--rootfs", runtimetest.Rootfs(t), "fweb", "/bin/sleep", "100000")
	stop := func() {
		ctr("task", "kill", "-s", "KILL", "fweb")
		ctr("task", "rm", "-f", "fweb")
	}
	t.Cleanup(func() { stop(); ctr("container", "rm", "fweb") })
	l := lane{
		words: []string{"fweb", "containerd:default/fweb", "containerd:fweb"},
		id:    ns.Identity{Name: "fweb", ID: "default/fweb"},
		restart: func() {
			stop()
			ctr("task", "start", "-d", "fweb")
		},
	}
	l.drive(t)
	fails(t, "containerd:other/fweb", fs.ErrNotExist, `no task of containerd is called "fweb" in namespace "other"`)
	fails(t, "containerd:fdb", fs.ErrNotExist, `no task of containerd is called "fdb"`)

	// What a container left behind that ended by itself: its number is another's now.
	dir := "/run/containerd/io.containerd.runtime.v2.task/"
	old := nstest.Process(t)
	for path, text := range map[string]string{"init.pid": fmt.Sprint(old.PID), "config.json": `{"linux":{"cgroupsPath":"/default/old"}}`} {
		if err := os.MkdirAll(dir+"default/old", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"default/old/"+path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, "old", fs.ErrNotExist, "container old has ended: start it with ctr -n default task start old")

	// The same ID in two namespaces.
	if err := os.MkdirAll(dir+"twin/fweb", 0o755); err != nil {
		t.Fatal(err)
	}
	fails(t, "fweb", fs.ErrInvalid, `several namespaces of containerd have "fweb": say which: containerd:default/fweb, containerd:twin/fweb`)
	l.opened(t, "containerd:default/fweb")
}

// TestContainerdElsewhere is one under another state directory, as k3s has it.
func TestContainerdElsewhere(t *testing.T) {
	runtimetest.Require(t, "containerd", "containerd", "ctr", "runc", "busybox")
	ctr := containerd(t, "/run/k3s/containerd")
	ctr("run", "-d", "--rootfs", runtimetest.Rootfs(t), "far", "/bin/sleep", "100000")
	t.Cleanup(func() { ctr("task", "rm", "-f", "far") })
	t.Setenv("CONTAINERD_ADDRESS", "/run/k3s/containerd/containerd.sock")
	lane{id: ns.Identity{Name: "far", ID: "default/far"}}.opened(t, "containerd:far")
}
