package docker

import (
	"os"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// Engines are the engines at these addresses: Podman's service where the address
// says podman, as its sockets' do, and Docker's elsewhere. Without addresses they are
// those that the docker and the podman command would ask: Docker's, whether it is
// there or not, and Podman's where its socket is.
func Engines(addresses ...string) (engines []ns.Source) {
	for _, address := range addresses {
		e := Engine{Host: address}
		if strings.Contains(address, "podman") {
			e.Program = "podman"
		}
		engines = append(engines, e)
	}
	if len(addresses) > 0 {
		return engines
	}
	engines = []ns.Source{Engine{}}
	p := Engine{Program: "podman"}
	d := p.dialect()
	if _, err := os.Stat(strings.TrimPrefix(d.host, "unix://")); err == nil || os.Getenv(d.env) != "" {
		engines = append(engines, p)
	}
	return engines
}
