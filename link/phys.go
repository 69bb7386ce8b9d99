package link

// A Phys moves a network interface of the host itself into the guest: a physical
// NIC, an SR-IOV virtual function, or any other that is nobody's part. Detach
// brings it back with the name, MAC, MTU, addresses, sysctls and up state that it
// had. They are recorded on the host, so that it also comes back after the guest
// died and the kernel returned it to the host under another name (see Collect). Its
// altnames stay with it all the time, and are put right if the guest changed them.
// Needs CAP_NET_ADMIN in the host's and in the guest's network namespace,
// CAP_SYS_ADMIN in the caller's mount namespace, and /run/pipework, which is root's
// and the same for all callers on the machine.
//
// The record tells the device from all others, whatever a guest's root does: he can
// rename it, copy its mark to another link, or move it to a namespace of his own.
// A link that bears its mark without being it is left alone, see [Port.Force].
// docs/decisions/nic-identity.md tells how. Static routes through the interface and those of
// DHCP clients come back, too, not those of routing daemons. The kernel returns an
// interface only to the machine's initial network namespace, and only real ones: what
// software made (veth, VLAN, dummy) ends with its guest.
//
// A wireless interface moves with its phy (nl80211), and with it every other
// interface of that phy.
type Phys struct {
	// Device is the interface's name on the host.
	Device string `json:"device"`
	// AllowDefaultRoute permits an interface that carries the host's default
	// route, and so perhaps the connection that asked for this.
	AllowDefaultRoute bool `json:"allow_default_route,omitempty"`
}

var (
	_ Backend   = Phys{}
	_ Validator = Phys{}
)

// Validate says what is wrong with the name.
func (n Phys) Validate() error { return ValidName(n.Device) }

// Settings leaves out what says how, not what.
func (n Phys) Settings() Backend {
	n.AllowDefaultRoute = false
	return n
}

// HostInterface is the interface itself.
func (n Phys) HostInterface() string { return n.Device }

// VLANs are all: the guest may send what it likes.
func (n Phys) VLANs() []int { return nil }

// String is "phys:" and the interface's name on the host.
func (n Phys) String() string { return "phys:" + n.Device }
