package dhcp

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/go-pipework/pipework/internal/errs"
)

// A Config says how to ask for a lease. The zero value asks as a plain client.
type Config struct {
	// Family is the IP version to ask for; "" is IPv4. Both is for a pipework.Spec
	// alone: a Client asks for one lease at a time.
	Family Family `json:"family,omitempty"`
	// Hostname is sent as option 12 (RFC 2132 section 3.14), of DHCPv6 as option 39
	// (RFC 4704); "" sends none.
	// In a pipework.Spec "" stands for the guest's name, where that is one.
	Hostname string `json:"hostname,omitempty"`
	// ClientID is sent as option 61, with its type byte (RFC 2132 section 9.14);
	// nil stands for hardware type and MAC, which stays the same when a guest is
	// recreated with the same MAC. One of no bytes has none sent: servers go by the MAC.
	ClientID []byte `json:"client_id,omitempty"`
	// DUID tells DHCPv6 servers who asks, with its type (RFC 8415 section 11); nil
	// stands for a DUID-LL of the MAC, which stays the same when a guest is
	// recreated with the same MAC. Interfaces that share their MAC with others, such as
	// ipvlan, need one each.
	DUID []byte `json:"duid,omitempty"`
	// IAID tells interfaces with one DUID apart (RFC 8415 section 12); 0 stands for
	// a number made from the interface's name.
	IAID uint32 `json:"iaid,omitempty"`
	// RapidCommit lets a DHCPv6 server grant the lease at once, in two messages
	// instead of four (RFC 8415 section 18.2.1).
	RapidCommit bool `json:"rapid_commit,omitempty"`
	// VendorClass is sent as option 60 of DHCPv4; "" sends none.
	VendorClass string `json:"vendor_class,omitempty"`
	// Parameters are numbers of DHCPv4 options to ask for beside the usual ones; what
	// comes back is in Lease.Options.
	Parameters []uint8 `json:"parameters,omitempty"`
	// Requested is the address to ask for, of either family; the server may give
	// another.
	Requested netip.Addr `json:"requested,omitzero"`
	// Broadcast asks the server to broadcast its answers, for interfaces that
	// share their MAC with others, such as ipvlan.
	Broadcast bool `json:"broadcast,omitempty"`
	// Probe is how long to listen for another user of the address before it is
	// taken, while three ARP probes are sent (RFC 5227; its own timing takes up
	// to 7 s). An address in use is declined, and another asked for ten seconds later.
	// 0 sends one probe and hears who answers before the server does. Of IPv6
	// the kernel does it, once the interface has the address: see [Client.Decline].
	Probe time.Duration `json:"probe,omitempty"`
	// Timeout is the wait for the first answer, doubled with every repetition; 0
	// stands for 250 ms. Tries is how often a message is sent; 0 stands for 5,
	// which takes 7.75 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	Tries   int           `json:"tries,omitempty"`
	// NoGateway leaves the default route alone: an IPv4 lease's gateway is told, and does not
	// become the interface's. It is for guests whose default route others see to.
	NoGateway bool `json:"no_gateway,omitempty"`
	// ResolvConf is the path of a resolv.conf to write DNS servers and search
	// domains into; "" writes none. What is there is kept as comments, and comes
	// back when the lease ends. See [WriteResolvConf].
	ResolvConf string `json:"resolv_conf,omitempty"`
}

func (c *Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return 250 * time.Millisecond
	}
	return c.Timeout
}

func (c *Config) tries() int {
	if c.Tries == 0 {
		return 5
	}
	return c.Tries
}

// span is how long it takes until an unanswered message is given up.
func (c *Config) span() time.Duration {
	return c.timeout() * (1<<min(c.tries(), 20) - 1)
}

// clientID is what identifies the client to the server.
func (c *Config) clientID(mac net.HardwareAddr) []byte {
	if c.ClientID != nil {
		return c.ClientID
	}
	return append([]byte{1}, mac...) // 1: Ethernet
}

// Validate says everything that is wrong with c at once.
func (c *Config) Validate() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("dhcp: "+format, args...)) }
	if c.Hostname != "" && !validDomain(c.Hostname) {
		bad("%q is no host name", c.Hostname)
	}
	if n := len(c.ClientID); n != 0 && n < 2 || n > 255 {
		bad("a client id of %d bytes: it takes 2 to 255 (RFC 2132, 9.14)", n)
	}
	if len(c.VendorClass) > 255 {
		bad("a vendor class of %d bytes: at most 255", len(c.VendorClass))
	}
	wrong = append(wrong, c.validFamily())
	if c.Probe < 0 || c.Timeout < 0 || c.Tries < 0 || c.Tries > 20 {
		bad("probe %v, timeout %v, tries %d: none may be negative, and tries at most 20", c.Probe, c.Timeout, c.Tries)
	}
	return errs.Join(wrong...)
}

// parameters are the options that are asked for (option 55). Classless routes
// come before routers, as RFC 3442 wants it.
func (c *Config) parameters() []dhcpv4.OptionCode {
	list := []dhcpv4.OptionCode{
		dhcpv4.OptionSubnetMask, dhcpv4.OptionClasslessStaticRoute, microsoftRoutes, dhcpv4.OptionRouter, dhcpv4.OptionStaticRoutingTable,
		dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList,
		dhcpv4.OptionInterfaceMTU, dhcpv4.OptionNTPServers,
		dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue,
	}
	for _, p := range c.Parameters {
		list = append(list, dhcpv4.GenericOptionCode(p))
	}
	return list
}
