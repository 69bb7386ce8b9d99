//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/nstest"
)

// TestExample runs the program as the documentation says.
func TestExample(t *testing.T) {
	e := dockertest.Start(t, dockertest.Options{})
	e.Image(t)
	world := nstest.Observe(t, e.HostNS())
	e.Run(t, dockertest.Container{Name: "web"})
	if _, err := exec.LookPath("docker"); err != nil {
		t.Fatal("the program calls it:", err)
	}
	program := filepath.Join(t.TempDir(), "survive")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.Sock())
		var out []byte
		err := e.HostNS().Do(context.Background(), func() (err error) {
			out, err = cmd.CombinedOutput()
			return err
		})
		return string(out), err
	}
	out, err := run("web", "br1", "10.9.0.1/24")
	t.Logf("\n%s", out)
	lines := regexp.MustCompile(`(?m)^restart \d: 10\.9\.0\.1 answers \d+ms after the start; MAC (\S+)$`).FindAllStringSubmatch(out, -1)
	if err != nil || len(lines) != 3 || lines[0][1] != lines[1][1] || lines[1][1] != lines[2][1] {
		t.Errorf("%v; %q", err, lines)
	}
	if out, _ := e.Exec(t, "web", "ip", "-o", "link"); strings.Contains(out, "eth1") {
		t.Errorf("left in the container:\n%s", out)
	}
	if out, err := run("nosuch", "br1", "10.9.0.1/24"); err == nil {
		t.Errorf("a container that is not there: %s", out)
	}
	e.Remove(t, "web") // with its pair on docker0, whose name changes
	world.Unchanged(t)
}
