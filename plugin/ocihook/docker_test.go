//go:build linux

package ocihook_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
)

// docker starts an engine with pipework-runtime, with these options, as its runtime pw.
func (s *scene) docker(options ...string) (run func(args ...string) string) {
	s.t.Helper()
	runtimetest.Require(s.t, "docker", "dockerd", "docker", "containerd", "runc", "busybox")
	quoted := fmt.Sprintf("%q", "--pipework-state-dir="+s.state)
	for _, o := range options {
		quoted += fmt.Sprintf(", %q", o)
	}
	config := s.write("daemon.json", fmt.Sprintf(`{"runtimes": {"pw": {"path": %q, "runtimeArgs": [%s]}}, "bridge": "none", "iptables": false, "ip6tables": false,
		"hosts": ["unix:///run/docker.sock"], "exec-opts": ["native.cgroupdriver=cgroupfs"]}`, s.runtime(), quoted))
	daemon := runtimetest.Daemon(s.t, "dockerd", "--config-file", config, "--data-root", filepath.Join(s.dir, "data"), "--exec-root", filepath.Join(s.dir, "exec"), "--pidfile", filepath.Join(s.dir, "pid"))
	runtimetest.Socket(s.t, "/run/docker.sock")
	s.t.Cleanup(func() { _, _ = daemon.Process.Signal(os.Interrupt), daemon.Wait() })
	run = func(args ...string) string {
		s.t.Helper()
		return runtimetest.Run(s.t, "docker", append([]string{"-H", "unix:///run/docker.sock"}, args...)...)
	}
	tar := filepath.Join(s.dir, "rootfs.tar")
	runtimetest.Run(s.t, "tar", "-C", runtimetest.Rootfs(s.t), "-cf", tar, ".")
	run("import", "--change", `LABEL pipework.eth7="br-image 10.9.0.2/24"`, tar, "bb:1")
	return run
}

// TestDocker: what labels declare is there at the first instruction; what the image declares is not.
func TestDocker(t *testing.T) {
	s := newScene(t)
	run := s.docker()
	before := nstest.Observe(t)
	out := run("run", "--rm", "--runtime", "pw", "--network", "none", "--label", "pipework.eth1=br-hook 10.7.0.2/24", "bb:1", "/bin/ip", "-o", "-4", "addr")
	if !strings.Contains(out, "eth1    inet 10.7.0.2/24") || strings.Contains(out, "eth7") {
		t.Error(out)
	}
	run("run", "-d", "--runtime", "pw", "--name", "fweb", "--network", "none", "--label", "pipework.eth1=br-hook 10.7.0.2/24", "bb:1", "/bin/sleep", "100000")
	if got, want := fmt.Sprint(s.records()), "[docker:fweb eth1 label]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	run("restart", "-t", "0", "fweb")
	if out := run("exec", "fweb", "/bin/ip", "-o", "-4", "addr"); !strings.Contains(out, "10.7.0.2/24") {
		t.Errorf("after a restart:\n%s", out)
	}
	run("kill", "fweb")
	run("rm", "-f", "fweb")
	if got := s.records(); len(got) > 0 {
		t.Errorf("%q", got)
	}
	out, err := runtimetest.Try(t, "docker", "-H", "unix:///run/docker.sock", "run", "--runtime", "pw", "--name", "fdb", "--network", "none", "--label", "pipework.eth1=macvlan:nosuch0 10.7.0.2/24", "bb:1", "/bin/sleep", "0")
	if err == nil || !strings.Contains(out, "the host has no interface nosuch0") {
		t.Errorf("%v: %s", err, out)
	}
	run("rm", "-f", "fdb")
	before.Unchanged(t)
}

// TestDockerAllow: the runtime's options bound what labels may ask for, as those of watch.
func TestDockerAllow(t *testing.T) {
	s := newScene(t)
	run := s.docker("--pipework-allow=br-lan", "--pipework-trust-images")
	before := nstest.Observe(t)
	out, err := runtimetest.Try(t, "docker", "-H", "unix:///run/docker.sock", "run", "--runtime", "pw", "--name", "fdb", "--network", "none", "bb:1", "/bin/sleep", "0")
	if err == nil || !strings.Contains(out, "br-image") {
		t.Errorf("%v: %s", err, out)
	}
	run("rm", "-f", "fdb")
	before.Unchanged(t)
}
