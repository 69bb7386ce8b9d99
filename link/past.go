package link

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// A past is what an interface of the host was before it moved into a guest.
type past struct {
	Name  string           `json:"name"`
	MAC   net.HardwareAddr `json:"mac"`
	MTU   int              `json:"mtu"`
	Up    bool             `json:"up"`
	Alias string           `json:"alias,omitempty"`
	// Addrs are of earlier versions' records, which kept no more of an address.
	Addrs []netip.Prefix `json:"addresses,omitempty"`
	// IfAddrs and Routes are what goes with the interface, as the kernel told it at
	// this time since the boot, when the interface had this index.
	IfAddrs []rtnl.Saved `json:"rtm_newaddr,omitempty"`
	Routes  []rtnl.Saved `json:"rtm_newroute,omitempty"`
	// Conf are its settings below /proc/sys/net.
	Conf  map[string]string `json:"sysctls,omitempty"`
	Saved time.Duration     `json:"saved,omitempty"`
	Index int               `json:"index,omitempty"`
	// AltNames are put back, too: one that the guest gave it may be taken on the host,
	// which would keep it from moving.
	AltNames []string `json:"altnames,omitempty"`
	// Settings are unknown in records of earlier versions.
	Settings *rtnl.Settings `json:"settings,omitempty"`
}

// parsePast reads what earlier versions kept in the mark:
// eth0~020000000001~1500~up~~10.0.0.2-24.
func parsePast(s string) (past, error) {
	words := strings.Split(s, "~")
	if len(words) < 5 || ValidName(words[0]) != nil {
		return past{}, errors.New("its mark does not tell what it was before")
	}
	p := past{Name: words[0], Up: words[3] == "up", Alias: words[4]}
	p.MAC, _ = parseHex(words[1])
	p.MTU, _ = strconv.Atoi(words[2])
	for _, w := range words[5:] {
		if a, err := netip.ParsePrefix(strings.ReplaceAll(w, "-", "/")); err == nil {
			p.Addrs = append(p.Addrs, a)
		}
	}
	return p, nil
}

// parseHex reads a MAC without separators.
func parseHex(s string) (net.HardwareAddr, error) {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%2 == 0 {
			b.WriteByte(':')
		}
		b.WriteRune(r)
	}
	return net.ParseMAC(b.String())
}
