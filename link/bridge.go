package link

import (
	"errors"
	"strings"
)

// A Forward says what to do where the host's firewall drops frames inside a
// Linux bridge: with br_netfilter loaded, the FORWARD chain also judges what a
// bridge forwards, and Docker sets that chain's policy to DROP.
type Forward int

const (
	// ForwardOwn lets frames pass within a bridge that pipework made, and warns
	// about any other.
	ForwardOwn Forward = iota
	// ForwardOn lets frames pass within the bridge, whoever made it.
	ForwardOn
	// ForwardOff leaves the firewall alone and says nothing.
	ForwardOff
)

// A Bridge plugs guests into a Linux bridge by a veth pair. Needs CAP_NET_ADMIN
// in the host's and in the guest's network namespace.
type Bridge struct {
	// Name of the bridge on the host. One that does not exist is created when
	// its name begins with "br", and removed again with its last port.
	Name string `json:"name"`
	// HostName names the host's end of the pair; "" stands for
	// v<interface>pl<pid>, or a hashed name where that exceeds 15 characters.
	HostName string `json:"host_name,omitempty"`
	// Forward deals with a firewall that drops bridged frames.
	Forward Forward `json:"forward,omitempty"`
}

var (
	_ Backend   = Bridge{}
	_ Validator = Bridge{}
)

// String is "bridge:" and the bridge's name.
func (b Bridge) String() string { return "bridge:" + b.Name }

// Validate says what is wrong with the names.
func (b Bridge) Validate() error {
	wrong := []error{ValidName(b.Name)}
	if b.HostName != "" {
		wrong = append(wrong, ValidName(b.HostName))
	}
	return errors.Join(wrong...)
}

// creatable says whether the classic tool would create a bridge of this name.
func creatable(name string) bool { return strings.HasPrefix(name, "br") }
