//go:build linux

package ocihook

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCreating: hooks are added for containers that are created, whatever others are called.
func TestCreating(t *testing.T) {
	for line, want := range map[string]string{
		"--root /r --log /l --log-format json create --bundle /b --pid-file /p id": "/b",
		"--root=/r --systemd-cgroup create --pid-file create --bundle=/b id":       "/b",
		"-root create run -b /b id":              "/b",
		"run id":                                 ".",
		"restore --image-path /i --bundle /b id": "/b",
		"--log run delete --force create":        "",
		"exec run --bundle /b":                   "",
		"kill restore 9":                         "",
		"state run":                              "",
		"--version":                              "",
		"--root":                                 "",
		"":                                       "",
		"--log /l --root create state id":        "",
		"--debug create --no-pivot --bundle /b --console-socket /run/run/create.sock id": "/b",
	} {
		if bundle, creates := creating(strings.Fields(line)); bundle != want || creates != (want != "") {
			t.Errorf("%q: %q, %v", line, bundle, creates)
		}
	}
}

// TestPodmanLists: a container of `podman run --rm` is in a list of its own, and the other one may
// not be there.
func TestPodmanLists(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "overlay-containers")
	s := &state{ID: "3f2a", Bundle: filepath.Join(storage, "3f2a", "userdata")}
	if err := os.MkdirAll(s.Bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	is := func(name string, known bool) {
		t.Helper()
		if _, c, err := s.container(); err != nil || c.Name != name || c.ImageKnown != known {
			t.Errorf("%+v, %v", c, err)
		}
	}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(storage, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is("3f2a", false)
	write("volatile-containers.json", `[{"id": "3f2a", "names": ["web"]}]`)
	is("web", true)
	write("containers.json", `[{"id": "77", "names": ["db"]}]`)
	is("web", true)
	write("containers.json", `[{"id": "3f2a", "names": ["web2"]}]`)
	is("web2", true)
	write("containers.json", "no list")
	if _, _, err := s.container(); err == nil {
		t.Error("a list that cannot be read is no error")
	}
}

// TestPoststopWithoutPolicy: what is there goes, whatever became of the policy.
func TestPoststopWithoutPolicy(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("no policy"), 0o644); err != nil {
		t.Fatal(err)
	}
	for stage, wrong := range map[string]string{createRuntime: "policy.yaml", poststop: ""} {
		args := []string{"--pipework-policy=" + policy, "--pipework-state-dir=" + filepath.Join(dir, "state"), "hook", stage}
		if err := Runtime(context.Background(), args, strings.NewReader(`{"id": "3f2a", "pid": 0, "bundle": "/b/3f2a"}`)); (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", stage, err)
		}
	}
}
