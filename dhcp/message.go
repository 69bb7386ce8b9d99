package dhcp

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// maxMessage is what the client can receive (option 57).
const maxMessage = 1500

// message makes a message of this type (RFC 2131 table 5). Every one bears the
// same client identifier; what the server is asked for goes into those that have
// an answer.
func (c *Client) message(kind dhcpv4.MessageType, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	mods := []dhcpv4.Modifier{
		dhcpv4.WithHwAddr(c.MAC),
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithBroadcast(c.Broadcast),
	}
	if id := c.clientID(c.MAC); len(id) > 0 {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(id)))
	}
	if kind == dhcpv4.MessageTypeDiscover || kind == dhcpv4.MessageTypeRequest {
		mods = append(mods, c.wishes()...)
	}
	return dhcpv4.New(append(mods, more...)...)
}

func (c *Client) wishes() []dhcpv4.Modifier {
	mods := []dhcpv4.Modifier{
		dhcpv4.WithRequestedOptions(c.parameters()...),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(maxMessage)),
	}
	if c.Hostname != "" {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptHostName(c.Hostname)))
	}
	if c.VendorClass != "" {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptClassIdentifier(c.VendorClass)))
	}
	return mods
}

func requested(a netip.Addr) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IP(a.AsSlice())))
}

func serverID(a netip.Addr) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP(a.AsSlice())))
}

func from(a netip.Addr) dhcpv4.Modifier { return dhcpv4.WithClientIP(net.IP(a.AsSlice())) }
