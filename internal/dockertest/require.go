//go:build linux

package dockertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
)

// programs are what an engine cannot do without.
var programs = [...]string{"dockerd", "containerd", "runc", "iptables"}

// Require skips the test where no engine can be started. Where the environment
// promises one (PIPEWORK_REQUIRE, separated by commas, has docker in it) the
// test fails instead.
func Require(t testing.TB) {
	t.Helper()
	why := missing()
	switch {
	case why == "":
		nstest.Ran("docker")
	case nstest.Required("docker"):
		t.Fatalf("PIPEWORK_REQUIRE promises docker: %s", why)
	default:
		t.Skip(why)
	}
}

// missing says what this machine lacks; "" if nothing.
func missing() string {
	if os.Geteuid() != 0 || !initialUsers() {
		return "a Docker engine needs root"
	}
	for _, name := range programs {
		if _, err := program(name); err != nil {
			return "no " + name + " here: apt-get install docker.io iptables"
		}
	}
	return ""
}

// initialUsers tells whether root is the machine's, not that of a user
// namespace; see user_namespaces(7).
func initialUsers() bool {
	ids, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && slices.Equal(strings.Fields(string(ids)), []string{"0", "0", "4294967295"})
}

// program finds a program also where only root's PATH would lead.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}
