package link

import "github.com/go-pipework/pipework/internal/errs"

// An IpvlanMode says on which layer ipvlan interfaces work.
type IpvlanMode int

const (
	// IpvlanL2 switches frames and answers ARP; the default.
	IpvlanL2 IpvlanMode = iota
	// IpvlanL3 routes packets: no ARP, no broadcast, no multicast.
	IpvlanL3
	// IpvlanL3S is IpvlanL3 through the host's netfilter (CONFIG_IPVLAN_L3S).
	IpvlanL3S
)

var ipvlanModes = [...]string{"l2", "l3", "l3s"}

// String is the mode's name in iproute2.
func (m IpvlanMode) String() string { return modeName(int(m), ipvlanModes[:]) }

// MarshalText writes the mode's name.
func (m IpvlanMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes; "" is IpvlanL2.
func (m *IpvlanMode) UnmarshalText(text []byte) error {
	n, err := parseMode(string(text), ipvlanModes[:])
	*m = IpvlanMode(n)
	return err
}

// An Ipvlan plugs guests into the network that a NIC of the host is in, like
// [Macvlan], but with the NIC's own MAC: for switches that admit only one, and
// for wireless NICs. Needs CAP_NET_ADMIN in the host's and in the guest's
// network namespace, and CONFIG_IPVLAN; with a VLAN CONFIG_VLAN_8021Q.
type Ipvlan struct {
	// Parent is the interface on the host. It is set up where it is down, and
	// stays up: others may have come to use it.
	Parent string `json:"parent"`
	// Mode is IpvlanL2 by default. The kernel has one for all ipvlan interfaces
	// on a parent: the last that is made or mended sets it for the others.
	Mode IpvlanMode `json:"mode,omitempty"`
	// VLAN is as for Macvlan.
	VLAN int `json:"vlan,omitempty"`
}

var (
	_ Backend   = Ipvlan{}
	_ Validator = Ipvlan{}
	_ FixedMAC  = Ipvlan{}
)

// VLANs are the one; 0 is none.
func (i Ipvlan) VLANs() []int { return []int{i.VLAN} }

// WithVLAN is the ipvlan on this VLAN of the parent.
func (i Ipvlan) WithVLAN(id int) Backend {
	i.VLAN = id
	return i
}

func (i Ipvlan) parent() parent { return parent{i.Parent, i.VLAN} }

// HostInterface is the parent.
func (i Ipvlan) HostInterface() string { return i.Parent }

// String is "ipvlan:eth0"; "ipvlan-l3s:eth0@100" in another than the default
// mode, and with a VLAN.
func (i Ipvlan) String() string {
	return kindWithMode("ipvlan", int(i.Mode), i.Mode) + i.parent().String()
}

// Validate says what is wrong with the names and numbers.
func (i Ipvlan) Validate() error {
	return errs.Join(i.parent().validate(), validMode("ipvlan", int(i.Mode), ipvlanModes[:]))
}

// FixedMAC says that ipvlan interfaces share the parent's MAC.
func (Ipvlan) FixedMAC() string { return "an ipvlan interface has its parent's MAC" }
