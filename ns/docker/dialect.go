package docker

import (
	"os"
	"path/filepath"

	"github.com/go-pipework/pipework/ns"
)

// A dialect is what differs between Docker and Podman, which both speak the API.
type dialect struct {
	product string // what answers at the socket
	kind    ns.Kind
	program string // what people type
	unit    string // what systemctl starts
	env     string // the environment variable that names the socket
	host    string // the socket where nothing else is said

	versionEnv string // the environment variable that sets the API's version; "": there is none
}

func (e Engine) dialect() dialect {
	if e.Program == "podman" {
		return dialect{"Podman service", ns.Podman, "podman", "podman.socket", "CONTAINER_HOST", podmanHost(), ""}
	}
	return dialect{"Docker engine", ns.Docker, "docker", "docker", "DOCKER_HOST", "unix:///var/run/docker.sock", "DOCKER_API_VERSION"}
}

// podmanHost is the socket of the caller's own Podman; see podman-system-service(1).
func podmanHost() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && os.Geteuid() != 0 {
		return "unix://" + filepath.Join(dir, "podman", "podman.sock")
	}
	return "unix:///run/podman/podman.sock"
}
