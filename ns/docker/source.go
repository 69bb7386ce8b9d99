package docker

import (
	"cmp"

	"github.com/go-pipework/pipework/ns"
)

var _ ns.Source = Engine{}

// String is the engine's address, as far as the Engine says it.
func (e Engine) String() string { return cmp.Or(e.Host, e.dialect().program) }

// Kind is the command that people use with the engine.
func (e Engine) Kind() ns.Kind { return e.dialect().kind }
