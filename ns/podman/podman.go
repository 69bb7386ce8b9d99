// Package podman finds the containers of Podman, by its service that speaks the
// Docker Engine API (systemctl start podman.socket), with the care of package
// ns/docker.
//
// Every user has a Podman of their own. Root may plug in a user's containers too,
// as USER/NAME. What a user's service says is not taken on trust: the process must
// be in a network namespace that belongs to a user namespace of that user, so
// that no user can point to anybody else's guest.
package podman

import (
	"os/user"
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

// A Container is the name, the ID or an unambiguous beginning of the ID of a
// container of the caller's own Podman, or "USER/NAME" of one of that user's, who
// is given by name or number. Where the caller's socket is, [docker.Engine] says;
// a user's is /run/user/UID/podman/podman.sock.
//
// The errors of Open are those of [docker.Engine.Container], and
// [fs.ErrPermission] for a container that is not in a namespace of its user.
type Container string

var _ ns.Target = Container("")

// String is the name alone, which is the guest's name.
func (c Container) String() string {
	_, name := c.split()
	return name
}

func (c Container) split() (owner, name string) {
	if owner, name, ok := strings.Cut(string(c), "/"); ok && owner != "" {
		return owner, name
	}
	return "", string(c)
}

// check refuses what cannot be USER/NAME, before the user is looked up.
func (c Container) check() error {
	owner, name := c.split()
	if !isOwner(owner) || !isName(name) {
		return errs.NoName("%q cannot be a user's container: write USER/NAME in letters, digits, '_', '.' and '-'", string(c))
	}
	return nil
}

func (c Container) engine() docker.Engine { return docker.Engine{Program: "podman"} }

// isOwner says whether users are called so, or have such numbers.
func isOwner(s string) bool { return charset.Word(s, 32, "_", "_.-") }

// isName says whether Podman allows it as a container's name.
func isName(s string) bool { return charset.Word(s, 255, "", "_.-") }

// lookUp finds a user by name or number.
func lookUp(name string) (*user.User, error) {
	if u, err := user.LookupId(name); err == nil {
		return u, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, errs.Unknown("no user is called %q", name)
	}
	return u, nil
}
