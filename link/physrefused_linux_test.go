package link

import (
	"errors"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

func TestPartOf(t *testing.T) {
	for want, master := range map[string]*rtnl.Link{
		"eth5 is part of the bridge lan: ip link set eth5 nomaster":                     {Kind: "bridge", Name: "lan"},
		"eth5 is part of the bond bond0: ip link set eth5 nomaster":                     {Kind: "bond", Name: "bond0"},
		"eth5 is part of the VRF blue: ip link set eth5 nomaster":                       {Kind: "vrf", Name: "blue"},
		"eth5 is part of the Open vSwitch datapath ovs-system: ovs-vsctl del-port eth5": {Kind: "openvswitch", Name: "ovs-system"},
	} {
		if err := partOf("eth5", master); !errors.Is(err, fs.ErrInvalid) || err.Error() != want {
			t.Errorf("%s: %v", master.Kind, err)
		}
	}
}

func TestStays(t *testing.T) {
	for kind, virtual := range map[string]bool{"bond": true, "team": true, "": false, "virt_wifi": false} {
		if isVirtual(&rtnl.Link{Kind: kind}) != virtual {
			t.Errorf("%q", kind)
		}
	}
	const want = "bond0 is a bond link, which the kernel does not move to another network namespace (invalid argument): plug into it without moving it, or move one of its ports"
	if err := stays(&rtnl.Link{Name: "bond0", Kind: "bond"}, unix.EINVAL); !errors.Is(err, errors.ErrUnsupported) || err.Error() != want {
		t.Error(err)
	}
}
