package link

import (
	"fmt"

	"github.com/go-pipework/pipework/internal/errs"
)

// A MacvlanMode says whom macvlan interfaces on one parent reach besides the
// network outside.
type MacvlanMode int

const (
	// MacvlanBridge lets those on the same parent reach each other; the default.
	MacvlanBridge MacvlanMode = iota
	// MacvlanPrivate keeps them apart, whatever the switch outside does.
	MacvlanPrivate
	// MacvlanVEPA sends everything out; the switch outside has to send it back.
	MacvlanVEPA
	// MacvlanPassthru gives the parent to one guest alone, which has its MAC.
	MacvlanPassthru
)

var macvlanModes = [...]string{"bridge", "private", "vepa", "passthru"}

// String is the mode's name in iproute2.
func (m MacvlanMode) String() string { return modeName(int(m), macvlanModes[:]) }

// MarshalText writes the mode's name.
func (m MacvlanMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes; "" is MacvlanBridge.
func (m *MacvlanMode) UnmarshalText(text []byte) error {
	n, err := parseMode(string(text), macvlanModes[:])
	*m = MacvlanMode(n)
	return err
}

// A Macvlan plugs guests into the network that a NIC of the host is in: they get
// interfaces with MACs of their own on it. Guests and the host itself do not
// reach each other that way, but by an uplink.Shim. Needs CAP_NET_ADMIN in the host's and in the
// guest's network namespace, and CONFIG_MACVLAN; with a VLAN CONFIG_VLAN_8021Q.
type Macvlan struct {
	// Parent is the interface on the host. It is set up where it is down, and
	// stays up: others may have come to use it.
	Parent string `json:"parent"`
	// Mode is MacvlanBridge by default.
	Mode MacvlanMode `json:"mode,omitempty"`
	// VLAN is the 802.1Q tag that the guest's frames have outside, 1 to 4094; 0
	// stands for none. The host's interface for it, such as eth0.100, is made
	// where there is none, and removed again with the last user of it.
	VLAN int `json:"vlan,omitempty"`
}

var (
	_ Backend   = Macvlan{}
	_ Validator = Macvlan{}
	_ FixedMAC  = Macvlan{}
)

// VLANs are the one; 0 is none.
func (m Macvlan) VLANs() []int { return []int{m.VLAN} }

// WithVLAN is the macvlan on this VLAN of the parent.
func (m Macvlan) WithVLAN(id int) Backend {
	m.VLAN = id
	return m
}

func (m Macvlan) parent() parent { return parent{m.Parent, m.VLAN} }

// HostInterface is the parent.
func (m Macvlan) HostInterface() string { return m.Parent }

// String is "macvlan:eth0"; "macvlan-vepa:eth0@100" in another than the default
// mode, and with a VLAN.
func (m Macvlan) String() string {
	return kindWithMode("macvlan", int(m.Mode), m.Mode) + m.parent().String()
}

// Validate says what is wrong with the names and numbers.
func (m Macvlan) Validate() error {
	return errs.Join(m.parent().validate(), validMode("macvlan", int(m.Mode), macvlanModes[:]))
}

// FixedMAC says that MacvlanPassthru shares the parent's MAC.
func (m Macvlan) FixedMAC() string {
	if m.Mode == MacvlanPassthru {
		return "a macvlan in mode passthru has its parent's MAC"
	}
	return ""
}

// kindWithMode begins a backend's String: the mode is said when it is not the
// default, so that a mark tells it.
func kindWithMode(kind string, mode int, name fmt.Stringer) string {
	if mode == 0 {
		return kind + ":"
	}
	return kind + "-" + name.String() + ":"
}

func modeName(mode int, names []string) string {
	if mode < 0 || mode >= len(names) {
		return fmt.Sprintf("mode %d", mode)
	}
	return names[mode]
}

func parseMode(s string, names []string) (int, error) {
	for i, name := range names {
		if s == name || s == "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no mode %q: there are %q", s, names)
}

func validMode(kind string, mode int, names []string) error {
	if mode < 0 || mode >= len(names) {
		return fmt.Errorf("%s has no mode %d", kind, mode)
	}
	return nil
}
