package runtimetest

import (
	"os"
	"path/filepath"
	"testing"
)

// podmanSettings are what Podman must be told where RLIMITs cannot be raised and control groups are
// of both versions.
const podmanSettings = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

// Podman requires the lane, and has the test's Podman know the settings that it needs here, and
// more: further lines of the section engine, then other sections.
func Podman(t testing.TB, more string) {
	t.Helper()
	Require(t, "podman", "podman", "conmon", "runc", "busybox")
	path := filepath.Join(t.TempDir(), "containers.conf")
	if err := os.WriteFile(path, []byte(podmanSettings+more), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", path)
}
