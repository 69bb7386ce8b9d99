package docker_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-pipework/pipework/ns/docker"
)

// TestEnginesOnce has Docker's socket lead to Podman's.
func TestEnginesOnce(t *testing.T) {
	dir := t.TempDir()
	socket, link, other := filepath.Join(dir, "podman.sock"), filepath.Join(dir, "docker.sock"), filepath.Join(dir, "other.sock")
	for _, path := range []string{socket, other} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ docker, podman, want string }{
		{link, socket, "[docker]"},
		{socket, socket, "[docker]"},
		{other, socket, "[docker podman]"},
		{dir + "/none", socket, "[docker podman]"},
		{socket, dir + "/none", "[docker podman]"}, // somebody names it: it may come
	} {
		t.Setenv("DOCKER_HOST", "unix://"+row.docker)
		t.Setenv("CONTAINER_HOST", "unix://"+row.podman)
		if got := fmt.Sprint(docker.Engines()); got != row.want {
			t.Errorf("docker at %s, podman at %s: %s, want %s", row.docker, row.podman, got, row.want)
		}
	}
}
