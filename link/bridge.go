package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// A Firewall says what to do where the host's firewall drops frames inside a Linux
// bridge, as Docker's does; see package firewall.
type Firewall int

const (
	// FirewallOwn accepts frames within a bridge that pipework made, and warns
	// about any other.
	FirewallOwn Firewall = iota
	// FirewallAccept accepts frames within the bridge, whoever made it. The rule for
	// somebody else's bridge goes with the last guest there that pipework plugged in.
	FirewallAccept
	// FirewallLeave leaves the firewall alone and says nothing.
	FirewallLeave
)

// VLANs are the guest's; 0 stands for the bridge's default, too.
func (b Bridge) VLANs() []int {
	if b.VLAN == 0 && len(b.Trunks) > 0 {
		return b.Trunks
	}
	return append([]int{b.VLAN}, b.Trunks...)
}

// WithVLAN is the bridge with the guest in this VLAN.
func (b Bridge) WithVLAN(id int) Backend {
	b.VLAN = id
	return b
}

// WithTrunks is the bridge with these VLANs passing tagged.
func (b Bridge) WithTrunks(vlans []int) Backend {
	b.Trunks = vlans
	return b
}

// WithHostName is the bridge with this name for the host's end.
func (b Bridge) WithHostName(name string) Backend {
	b.HostName = name
	return b
}

var firewalls = [...]string{"own", "accept", "leave"}

// String is own, accept or leave.
func (f Firewall) String() string { return modeName(int(f), firewalls[:]) }

// MarshalText writes own, accept or leave.
func (f Firewall) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText writes; "" is FirewallOwn.
func (f *Firewall) UnmarshalText(text []byte) error {
	n, err := parseMode(string(text), firewalls[:])
	*f = Firewall(n)
	return err
}

// Settings leaves out what says how, not what.
func (b Bridge) Settings() Backend {
	b.Firewall = FirewallOwn
	return b
}

// A Bridge plugs guests into a Linux bridge by a veth pair. Needs CAP_NET_ADMIN
// in the host's and in the guest's network namespace.
type Bridge struct {
	// Name of the bridge on the host. One that does not exist is created when
	// its name begins with "br", and removed again with its last port.
	Name string `json:"name"`
	// HostName names the host's end of the pair; "" stands for
	// v<interface>pl<pid>, or a hashed name where that exceeds 15 characters.
	HostName string `json:"host_name,omitempty"`
	// VLAN, 1 to 4094, is the guest's: frames to it come untagged, and frames from
	// it belong to that VLAN (the port's PVID). 0 leaves the bridge's default.
	// VLAN and Trunks need a bridge with VLAN filtering; one that is created for
	// them has it.
	VLAN int `json:"vlan,omitempty"`
	// Trunks are the VLANs that the guest sees tagged. With Trunks and no VLAN
	// it sees nothing untagged.
	Trunks []int `json:"trunks,omitempty"`
	// Isolated keeps the guest from other isolated ports of the bridge; it
	// reaches those that are not (Linux 4.18).
	Isolated bool `json:"isolated,omitempty"`
	// Hairpin sends frames back out of the port that they came in by.
	Hairpin bool `json:"hairpin,omitempty"`
	// Firewall deals with a firewall that drops bridged frames. It is how, not
	// what: two Specs that differ in it alone are the same.
	Firewall Firewall `json:"firewall,omitempty"`
}

var (
	_ BatchUnplugger = Bridge{}
	_ Validator      = Bridge{}
	_ Pinner         = Bridge{}
	_ Isolator       = Bridge{}
	_ InVLANs        = Bridge{}
)

// PinnedTags are the trunks.
func (b Bridge) PinnedTags() ([]int, error) { return b.Trunks, nil }

// Isolate is the bridge with the guest's port isolated.
func (b Bridge) Isolate() Backend {
	b.Isolated = true
	return b
}

// HostInterface is the bridge.
func (b Bridge) HostInterface() string { return b.Name }

// String is "bridge:" and the bridge's name.
func (b Bridge) String() string { return "bridge:" + b.Name }

// Validate says what is wrong with the names and VLANs.
func (b Bridge) Validate() error {
	wrong := []error{ValidName(b.Name)}
	if b.HostName != "" {
		wrong = append(wrong, ValidName(b.HostName))
	}
	for _, tag := range b.Trunks {
		wrong = append(wrong, validTag(tag))
	}
	if b.VLAN != 0 {
		wrong = append(wrong, validTag(b.VLAN))
	}
	if slices.Contains(b.Trunks, b.VLAN) {
		wrong = append(wrong, fmt.Errorf("VLAN %d cannot be tagged and untagged at once", b.VLAN))
	}
	return errs.Join(wrong...)
}

// creatable says whether the classic tool would create a bridge of this name.
func creatable(name string) bool { return strings.HasPrefix(name, "br") }
