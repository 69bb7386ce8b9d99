package link

import (
	"errors"

	"github.com/go-pipework/pipework/internal/errs"
)

// A VLAN gives the guest an 802.1Q VLAN of a NIC of the host: an interface that is made
// inside the guest and stands on the NIC directly, with no macvlan between. Frames
// leave the NIC with the tag. Needs CAP_NET_ADMIN in the host's and in the guest's
// network namespace, and CONFIG_VLAN_8021Q.
//
// The kernel has each VLAN of a NIC once, in whatever namespace. So only one guest can
// have it, and a [Macvlan] or [Ipvlan] on the same VLAN, which stands on an interface of
// the host for it, excludes it. Plug's error then satisfies fs.ErrInvalid and says who
// has the VLAN.
//
// The interface has the MAC of the NIC, and follows it, unless the caller asks for
// another. It goes with the guest.
type VLAN struct {
	// Parent is the interface on the host. It is set up where it is down, and
	// stays up: others may have come to use it.
	Parent string `json:"parent"`
	// VLAN is the 802.1Q tag, 1 to 4094.
	VLAN int `json:"vlan"`
}

var (
	_ Backend     = VLAN{}
	_ Validator   = VLAN{}
	_ OnInterface = VLAN{}
	_ WithVLAN    = VLAN{}
)

// VLANs are the one; 0 is none.
func (v VLAN) VLANs() []int { return []int{v.VLAN} }

// WithVLAN is this VLAN of the parent.
func (v VLAN) WithVLAN(id int) Backend {
	v.VLAN = id
	return v
}

// HostInterface is the parent.
func (v VLAN) HostInterface() string { return v.Parent }

// String is "vlan:eth0@100".
func (v VLAN) String() string { return "vlan:" + v.place().String() }

func (v VLAN) place() parent { return parent{v.Parent, v.VLAN} }

// Validate says what is wrong with the name and the tag.
func (v VLAN) Validate() error {
	if v.VLAN == 0 {
		return errs.Join(validParent(v.Parent), errors.New("a VLAN is needed, 1 to 4094: give one, such as @100"))
	}
	return v.place().validate()
}
