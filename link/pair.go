package link

import (
	"errors"
	"fmt"
	"net/netip"
)

// A Veth plugs a guest into the host itself, by a veth pair that is in no bridge: what
// the guest sends arrives at the host's end. Needs CAP_NET_ADMIN in the host's and in
// the guest's network namespace.
//
// The host routes between guests, and out, only as far as it forwards
// (net.ipv4.ip_forward); that is left as it is.
type Veth struct {
	// HostName names the host's end; "" stands for v<interface>pl<pid>, or a hashed
	// name where that exceeds 15 characters.
	HostName string `json:"host_name,omitempty"`
	// HostAddrs are the addresses of the host's end, such as the guest's gateway. They
	// go with the pair. The host's end has no IPv6 address but these, and none of them
	// is checked for being a duplicate.
	HostAddrs []netip.Prefix `json:"host_addrs,omitempty"`
}

var (
	_ BatchUnplugger = Veth{}
	_ Validator      = Veth{}
	_ WithHostName   = Veth{}
	_ OnInterface    = Veth{}
)

// WithHostName is the pair with this name for the host's end.
func (v Veth) WithHostName(name string) Backend {
	v.HostName = name
	return v
}

// HostInterface is the host's end.
func (v Veth) HostInterface() string { return v.HostName }

// String is "veth:" and the name of the host's end, or "veth" where none is chosen.
func (v Veth) String() string {
	if v.HostName == "" {
		return "veth"
	}
	return "veth:" + v.HostName
}

// Validate says what is wrong with the name and the addresses.
func (v Veth) Validate() error {
	var wrong []error
	if v.HostName != "" {
		wrong = append(wrong, ValidName(v.HostName))
	}
	for _, p := range v.HostAddrs {
		if a := p.Addr(); !p.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
			wrong = append(wrong, fmt.Errorf("%s is no address for the host's end: write one with its prefix length, such as 10.0.0.1/24", p))
		}
	}
	return errors.Join(wrong...)
}
