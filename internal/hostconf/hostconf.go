// Package hostconf writes what makes network managers of a host put a NIC under a bridge at each
// start of the machine: files of systemd-networkd, netplan, NetworkManager and ifupdown.
package hostconf

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// A Bridge is what is to be there.
type Bridge struct {
	Name, NIC  string
	MAC        net.HardwareAddr
	MTU        int
	Addrs      []netip.Prefix // that nobody gives
	Routes     []Route        // that nobody tells
	DHCP4      bool           // a DHCP server gives IPv4 addresses
	Advertised bool           // routers tell of IPv6
	OVS        bool           // it is one of Open vSwitch
	// Unsaid is what cannot be said in such a file, one line each.
	Unsaid []string
}

// A Route is one that somebody has made.
type Route struct {
	Dst          netip.Prefix
	Gateway, Src netip.Addr // which may be none
	Metric       uint32
	Table        uint32 // MainTable, or another one
	OnLink       bool
}

// MainTable is the table main.
const MainTable = 254

// A File is one of a manager's.
type File struct {
	Path string `json:"path"`
	Text string `json:"text"`
	// Instead says that it is for a NIC that the manager is to leave alone, in place of all others.
	Instead bool `json:"instead,omitempty"`
}

// Managers are the names that Write knows.
func Managers() []string { return []string{"networkd", "netplan", "NetworkManager", "ifupdown"} }

// Write writes the files for the manager. An unknown one satisfies fs.ErrInvalid, and what a manager
// cannot do errors.ErrUnsupported.
func Write(manager string, b Bridge) ([]File, error) {
	write := map[string]func(Bridge) []File{"networkd": networkd, "netplan": netplan, "networkmanager": networkManager, "ifupdown": ifupdown}[strings.ToLower(manager)]
	switch {
	case write == nil:
		return nil, errs.New(fs.ErrInvalid, "no lines for %q are known: there are %s", manager, strings.Join(Managers(), ", "))
	case b.OVS && strings.EqualFold(manager, "networkd"):
		return nil, errs.New(errors.ErrUnsupported, "systemd-networkd makes no bridges of Open vSwitch: netplan and ifupdown do")
	case b.OVS && strings.EqualFold(manager, "NetworkManager"):
		return nil, errs.New(errors.ErrUnsupported, "NetworkManager needs a port and an interface of Open vSwitch beside the bridge, which are not written here: see nm-openvswitch(7), or name a Linux bridge")
	}
	return write(b), nil
}

// A text is a file in the making.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// unsaid writes comments about what is not in the file.
func (t *text) unsaid(b Bridge) {
	for _, what := range b.Unsaid {
		t.line("# Not said here: %s", what)
	}
}

// of are those of the addresses that are of IPv4, or else of IPv6.
func (b Bridge) of(four bool) (addrs []netip.Prefix, routes []Route) {
	for _, a := range b.Addrs {
		if a.Addr().Is4() == four {
			addrs = append(addrs, a)
		}
	}
	for _, r := range b.Routes {
		if r.Dst.Addr().Is4() == four {
			routes = append(routes, r)
		}
	}
	return addrs, routes
}

// usualMTU is Ethernet's.
const usualMTU = 1500

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
