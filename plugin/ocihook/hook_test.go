//go:build linux

package ocihook_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/plugin"
)

// A scene is a directory with the records, and pipework-runtime.
type scene struct {
	t          *testing.T
	dir, state string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	nstest.CleanHost(t)
	s := &scene{t: t, dir: t.TempDir()}
	s.state = filepath.Join(s.dir, "state")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, s.runtime()); err != nil {
		t.Fatal(err)
	}
	return s
}

// runtime is the program.
func (s *scene) runtime() string { return filepath.Join(s.dir, "pipework-runtime") }

func (s *scene) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// open opens the records.
func (s *scene) open() *plugin.Host {
	s.t.Helper()
	h, err := plugin.Open(s.state, config.Declarations{})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// records are those that there are, each with who declared it.
func (s *scene) records() (all []string) {
	s.t.Helper()
	h := s.open()
	defer func() { _ = h.Close() }()
	found, damaged, err := h.Store.All()
	if len(damaged) > 0 || err != nil {
		s.t.Fatal(damaged, err)
	}
	for _, r := range found {
		all = append(all, fmt.Sprintf("%s %s %s", r.Guest, r.Interface, r.Source))
	}
	return all
}

// podman has it call the hooks, as contrib/hooks.d says.
func (s *scene) podman() (run func(args ...string) string) {
	s.t.Helper()
	runtimetest.Podman(s.t, fmt.Sprintf("hooks_dir = [%q]\n", filepath.Join(s.dir, "hooks.d")))
	for _, stage := range []string{"createRuntime", "poststop"} {
		s.write("hooks.d/pipework-"+stage+".json", fmt.Sprintf(`{"version": "1.0.0", "hook": {"path": %q, "args": ["pipework-runtime", "--pipework-state-dir=%s", "hook", %[3]q], "timeout": 40},
			"when": {"always": true}, "stages": [%[3]q]}`, s.runtime(), s.state, stage))
	}
	return func(args ...string) string { return runtimetest.Run(s.t, "podman", args...) }
}

// TestPodman: what annotations declare is there at the first instruction, and gone after the
// last one; what was typed is there again after a restart.
func TestPodman(t *testing.T) {
	s := newScene(t)
	run := s.podman()
	rootfs, before := runtimetest.Rootfs(t), nstest.Observe(t)
	out := run("run", "--rm", "--network", "none", "--annotation", "pipework.eth1=br-hook 10.7.0.2/24", "--rootfs", rootfs, "/bin/ip", "-o", "-4", "addr", "show", "eth1")
	if !strings.Contains(out, "10.7.0.2/24") {
		t.Error(out)
	}
	testwait.Eventually(t, "nothing is recorded", func() bool { return len(s.records()) == 0 })

	id := run("run", "-d", "--name", "fweb", "--network", "none", "--annotation", "pipework.eth1=br-hook 10.7.0.2/24", "--rootfs", rootfs, "/bin/sleep", "100000")
	if got, want := fmt.Sprint(s.records()), "[podman:fweb eth1 label]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := os.MkdirAll("/run/podman", 0o755); err != nil {
		t.Fatal(err)
	}
	service := runtimetest.Daemon(t, "podman", "system", "service", "-t", "0", "unix:///run/podman/podman.sock")
	stop := func() { _, _ = service.Process.Kill(), service.Wait() }
	runtimetest.Socket(t, "/run/podman/podman.sock")
	h := s.open()
	line, err := config.Parse([]string{"br-hook", "-i", "eth2", "fweb", "10.7.1.2/24"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.Declared(t.Context(), line)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Attach(t.Context(), ns.Ref{Kind: ns.Podman, Name: "fweb", ID: strings.TrimSpace(id)}, d); err != nil {
		t.Fatal(err)
	}
	run("restart", "-t", "0", "fweb")
	if out := run("exec", "fweb", "/bin/ip", "-o", "-4", "addr"); !strings.Contains(out, "10.7.0.2/24") || !strings.Contains(out, "10.7.1.2/24") {
		t.Errorf("after a restart:\n%s", out)
	}
	run("rm", "-f", "-t", "0", "fweb")
	if got, want := fmt.Sprint(s.records()), "[podman:fweb eth2 command]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := errors.Join(h.Store.Delete(ns.ParseRef("podman:fweb"), "eth2"), h.Close()); err != nil {
		t.Fatal(err)
	}
	stop()
	before.Unchanged(t)
}

// TestPodmanRefused: a start fails with our line.
func TestPodmanRefused(t *testing.T) {
	s := newScene(t)
	run := s.podman()
	before := nstest.Observe(t)
	for annotation, want := range map[string]string{
		"br-hook 10.7.0.2":            "label pipework.eth1: ",
		"macvlan:nosuch0 10.7.0.2/24": "the host has no interface nosuch0",
	} {
		out, err := runtimetest.Try(t, "podman", "run", "--name", "fweb", "--network", "none", "--annotation", "pipework.eth1="+annotation, "--rootfs", runtimetest.Rootfs(t), "/bin/sleep", "0")
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s", annotation, err, out)
		}
		run("rm", "-f", "-t", "0", "fweb")
	}
	before.Unchanged(t)
}
