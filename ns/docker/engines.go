package docker

import (
	"os"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// At is the engine at this address: Podman's service where the address says podman,
// as its sockets' do, and Docker's elsewhere.
func At(address string) Engine {
	e := Engine{Host: address}
	if strings.Contains(address, "podman") {
		e.Program = "podman"
	}
	return e
}

// Engines are those of this machine that the docker and the podman command would
// ask: Docker's, whether it is there or not, and Podman's where its socket is.
func Engines() []ns.Source {
	engines := []ns.Source{Engine{}}
	p := Engine{Program: "podman"}
	d := p.dialect()
	if _, err := os.Stat(strings.TrimPrefix(d.host, "unix://")); err == nil || os.Getenv(d.env) != "" {
		engines = append(engines, p)
	}
	return engines
}
