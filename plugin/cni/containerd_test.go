//go:build linux

package cni_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
)

const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "/run/containerd/containerd.sock"
`

// tmpfs gives the test's machine an empty directory in the place of one that there is.
func tmpfs(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// TestContainerd has ctr attach a container, whose DEL has no namespace.
func TestContainerd(t *testing.T) {
	runtimetest.Require(t, "containerd", "containerd", "ctr", "runc", "busybox", "podman") // whose package brings the directory
	r := newRuntime(t)
	tmpfs(t, "/etc/cni/net.d")
	tmpfs(t, "/opt")
	write(t, "/etc/cni/net.d/lan.conflist", `{"cniVersion": "1.0.0", "name": "lan", "plugins": [{`+plain+`}]}`)
	if err := os.MkdirAll("/opt/cni/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(filepath.Dir(r.state), "pipework"), "/opt/cni/bin/pipework"); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.toml")
	write(t, config, containerdConfig)
	runtimetest.Daemon(t, "containerd", "--config", config)
	runtimetest.Socket(t, "/run/containerd/containerd.sock")
	before := nstest.Observe(t)
	out := runtimetest.Run(t, "ctr", "run", "--rm", "--cni", "--rootfs", runtimetest.Rootfs(t), "cweb", "/bin/ip", "-o", "addr", "show", "eth0")
	if !strings.Contains(out, "10.5.0.2/24") {
		t.Errorf("%s", out)
	}
	r.nothingLeft()
	before.Unchanged(t)
}
