package docker

import (
	"cmp"
	"os"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// Engines are the engines at these addresses: Podman's service where the address
// says podman, as its sockets' do, and Docker's elsewhere. Without addresses they are
// those that the docker and the podman command would ask: Docker's, whether it is
// there or not, and Podman's where its socket is, unless that is Docker's too, as
// with podman-docker.
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
	d, p := Engine{}, Engine{Program: "podman"}
	engines = []ns.Source{d}
	its, err := os.Stat(p.socket())
	if err != nil && os.Getenv(p.dialect().env) == "" {
		return engines
	}
	if other, missing := os.Stat(d.socket()); err == nil && missing == nil && os.SameFile(its, other) {
		return engines
	}
	return append(engines, p)
}

// socket is the file that the engine is reached by.
func (e Engine) socket() string {
	d := e.dialect()
	return strings.TrimPrefix(cmp.Or(e.Host, os.Getenv(d.env), d.host), "unix://")
}
