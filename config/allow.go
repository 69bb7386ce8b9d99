package config

import (
	"io/fs"
	"path"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// An Allow is a list of patterns for names of the host's interfaces, in which *
// stands for any characters, ? for one, and [a-c] for one of several. A nil Allow
// allows all.
type Allow []string

// ParseAllow reads a list with commas, such as br*,ovs0. [errors.Is] tells its
// errors as [ErrUsage].
func ParseAllow(list string) (Allow, error) {
	var p problems
	allow := Allow(strings.Split(list, ","))
	for _, pattern := range allow {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || strings.ContainsAny(pattern, "/: ") || !printable(pattern) {
			p.addf("--allow: %q is no pattern for interface names: write such as br*,ovs0", pattern)
		}
	}
	return allow, p.err()
}

// hostInterface is the name of the interface of the host that the backend uses, or else what
// was typed.
func hostInterface(b link.Backend, typed string) string {
	if b, on := b.(link.OnInterface); on {
		return b.HostInterface()
	}
	return typed
}

// Check refuses a backend that uses an interface of the host whose name no
// pattern matches, with an error that satisfies fs.ErrPermission. typed is the
// host interface of the line that the backend is for: it counts only where the
// backend has none. An alternative name, or a MAC, stands for the interface's
// name; a VLAN that is made on an interface (@100) for that interface.
func (a Allow) Check(b link.Backend, typed string) error {
	if a == nil {
		return nil
	}
	name := hostInterface(b, typed)
	if patterns(a).match(name) {
		return nil
	}
	return errs.New(fs.ErrPermission, "the host's interface %s may not be asked for: --allow permits %s", name, strings.Join(a, ", "))
}
