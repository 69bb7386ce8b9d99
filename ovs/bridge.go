package ovs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// A VLANMode says how a port treats VLANs; ovs-vswitchd.conf.db(5), "vlan_mode".
type VLANMode string

// The modes. Without one, a port with a Tag is an access port, and one without
// a trunk port.
const (
	Access         VLANMode = "access"
	Trunk          VLANMode = "trunk"
	NativeTagged   VLANMode = "native-tagged"
	NativeUntagged VLANMode = "native-untagged"
	Dot1QTunnel    VLANMode = "dot1q-tunnel"
)

// The datapaths that Open vSwitch forwards with.
const (
	System = "system" // the kernel's, module openvswitch
	Netdev = "netdev" // in ovs-vswitchd itself
)

// A Bridge plugs guests into an Open vSwitch bridge by a veth pair.
type Bridge struct {
	// Name of the bridge. One that does not exist is created when its name
	// begins with "ovs", and removed again with its last port. A fake bridge, as
	// `ovs-vsctl add-br br-v30 ovs0 30` makes it, plugs into VLAN 30 of ovs0; a Tag
	// must be that then, and Trunks and a VLANMode other than Access are
	// fs.ErrInvalid.
	Name string `json:"name"`
	// Tag makes the guest's port an access port of this VLAN, 1 to 4094; 0
	// stands for a trunk port.
	Tag int `json:"tag,omitempty"`
	// Trunks are the VLANs, 0 to 4095, that a trunk port carries; none stands
	// for all.
	Trunks []int `json:"trunks,omitempty"`
	// VLANMode is seldom needed: Tag and Trunks imply it.
	VLANMode VLANMode `json:"vlan_mode,omitempty"`
	// Isolated keeps the guest from other isolated ports of the bridge; it reaches those that
	// are not (column protected, Open vSwitch 2.7).
	Isolated bool `json:"isolated,omitempty"`
	// ExternalIDs are set on the port and on its interface, beside pipework's
	// own.
	ExternalIDs map[string]string `json:"external_ids,omitempty"`
	// OtherConfig is set on the port.
	OtherConfig map[string]string `json:"other_config,omitempty"`
	// HostName names the host's end of the pair, which is also the port's name;
	// "" stands for v<interface>pl<pid>, or a hashed name where that exceeds 15
	// characters.
	HostName string `json:"host_name,omitempty"`
	// Datapath of a bridge that is created: System or Netdev; "" stands for
	// System. A bridge that exists must have this datapath unless it is "".
	// In a guest on a Netdev bridge transmit checksum offload is switched off,
	// without which TCP and UDP do not pass.
	Datapath string `json:"datapath,omitempty"`
	// Client is the server to speak to. nil stands for the standard socket,
	// connected for the length of each call.
	Client *Client `json:"-"`
}

var (
	_ link.BatchPlugger   = Bridge{}
	_ link.BatchUnplugger = Bridge{}
	_ link.Validator      = Bridge{}
	_ link.Reaper         = Bridge{}
	_ link.Collector      = (*Client)(nil)
	_ link.Isolator       = Bridge{}
	_ link.Filterer       = Bridge{}
	_ link.InVLANs        = Bridge{}
)

// VLANs are those that the port carries; all, where the Bridge asks for none.
func (b Bridge) VLANs() []int {
	switch {
	case b.VLANMode == Dot1QTunnel, b.VLANMode != Access && len(b.Trunks) == 0 && (b.Tag == 0 || b.VLANMode != ""):
		return nil
	case b.VLANMode == Access || b.Tag != 0 && b.VLANMode == "":
		return []int{b.Tag}
	case b.Tag != 0:
		return append([]int{b.Tag}, b.Trunks...)
	}
	return b.Trunks
}

// WithVLAN is the bridge with the guest's port as an access port of this VLAN.
func (b Bridge) WithVLAN(id int) link.Backend {
	b.Tag = id
	return b
}

// Isolate is the bridge with the guest's port isolated.
func (b Bridge) Isolate() link.Backend {
	b.Isolated = true
	return b
}

// PinnedTags are the trunks, and the tag of a native-tagged port. The error says that there is no
// way to ovs-vswitchd itself, as there is none by a Client of another machine's database.
func (b Bridge) PinnedTags() (tags []int, err error) {
	if _, err := b.Client.management(b.Name); err != nil {
		return nil, err
	}
	if b.VLANMode == Dot1QTunnel || b.VLANMode == Access || b.VLANMode == "" && b.Tag != 0 {
		return nil, nil
	}
	tags = slices.Clone(b.Trunks)
	if b.VLANMode == NativeTagged && b.Tag != 0 {
		tags = append(tags, b.Tag)
	}
	return slices.DeleteFunc(tags, func(vlan int) bool { return vlan == 0 || vlan == 4095 }), nil
}

// WithTrunks is the bridge with the guest's port carrying these VLANs tagged.
func (b Bridge) WithTrunks(vlans []int) link.Backend {
	b.Trunks = vlans
	return b
}

// WithHostName is the bridge with this name for the host's end.
func (b Bridge) WithHostName(name string) link.Backend {
	b.HostName = name
	return b
}

// Kind reads Bridges of Open vSwitch from JSON: {"ovs": {"name": "ovs0"}}.
func Kind() link.Kind { return link.KindOf[Bridge]("ovs") }

// HostInterface is the bridge.
func (b Bridge) HostInterface() string { return b.Name }

// String is "ovs:" and the bridge's name.
func (b Bridge) String() string { return "ovs:" + b.Name }

// creatable says whether the classic tool would create a bridge of this name.
func creatable(name string) bool { return strings.HasPrefix(name, "ovs") }

// Validate says what is wrong with the names, VLANs and keys.
func (b Bridge) Validate() error {
	wrong := []error{link.ValidName(b.Name), b.validVLANs()}
	if b.HostName != "" {
		wrong = append(wrong, link.ValidName(b.HostName))
	}
	switch b.Datapath {
	case "", System, Netdev:
	default:
		wrong = append(wrong, fmt.Errorf("datapath %q: there are %s and %s", b.Datapath, System, Netdev))
	}
	for key := range b.ExternalIDs {
		if strings.HasPrefix(key, ownKeys) {
			wrong = append(wrong, fmt.Errorf("external_ids key %q: those that begin with %s are pipework's", key, ownKeys))
		}
	}
	return errs.Join(wrong...)
}

func (b Bridge) validVLANs() error {
	var wrong []error
	if b.Tag < 0 || b.Tag > 4094 {
		wrong = append(wrong, fmt.Errorf("VLAN %d: a tag is 1 to 4094", b.Tag))
	}
	for _, vlan := range b.Trunks {
		if vlan < 0 || vlan > 4095 {
			wrong = append(wrong, fmt.Errorf("trunk VLAN %d is out of range: 0 to 4095", vlan))
		}
	}
	switch b.VLANMode {
	case "", Access, Trunk, NativeTagged, NativeUntagged, Dot1QTunnel:
	default:
		wrong = append(wrong, fmt.Errorf("VLAN mode %q: there are %s, %s, %s, %s and %s",
			b.VLANMode, Access, Trunk, NativeTagged, NativeUntagged, Dot1QTunnel))
	}
	return errs.Join(wrong...)
}
