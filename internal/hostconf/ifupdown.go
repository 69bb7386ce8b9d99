package hostconf

import (
	"fmt"
	"strings"
)

// ifupdown writes interfaces(5), with the words of bridge-utils-interfaces(5), or of Open vSwitch's
// README.Debian.
func ifupdown(b Bridge) []File {
	var t, alone text
	t.unsaid(b)
	if b.OVS {
		t.line("allow-%s %s\niface %s inet manual\n    ovs_bridge %s\n    ovs_type OVSPort\n", b.Name, b.NIC, b.NIC, b.Name)
	} else {
		t.line("# The package bridge-utils reads the words that begin with bridge_.\niface %s inet manual\n", b.NIC)
	}
	t.line("auto %s", b.Name)
	bridge := func() {
		if b.OVS {
			t.line("    ovs_type OVSBridge\n    ovs_ports %s\n    ovs_extra set bridge %s other-config:hwaddr=%s", b.NIC, b.Name, b.MAC)
		} else {
			t.line("    bridge_ports %s\n    bridge_hw %s\n    bridge_stp off\n    bridge_fd 0", b.NIC, b.MAC)
		}
		if b.MTU != usualMTU {
			t.line("    pre-up ip link set %s mtu %d", b.NIC, b.MTU)
		}
	}
	four, routes4 := b.of(true)
	six, routes6 := b.of(false)
	// The bridge is made by the first section; the others find it.
	stanza := func(family, method, address string) {
		t.line("iface %s %s %s", b.Name, family, method)
		if address != "" {
			t.line("    address %s", address)
		}
		if bridge != nil {
			bridge()
			bridge = nil
		}
	}
	switch {
	case b.DHCP4:
		stanza("inet", "dhcp", "")
	case len(four) == 0:
		stanza("inet", "manual", "")
	default:
		stanza("inet", "static", four[0].String())
		four = four[1:]
	}
	for _, a := range four {
		t.line("    up ip addr add %s brd + dev %s", a, b.Name)
	}
	t.routes(b, routes4)
	switch {
	case b.Advertised:
		t.line("")
		stanza("inet6", "auto", "")
	case len(six) > 0:
		t.line("")
		stanza("inet6", "static", six[0].String())
		t.line("    accept_ra 0")
		six = six[1:]
	}
	for _, a := range six {
		t.line("    up ip addr add %s dev %s", a, b.Name)
	}
	if b.Advertised || strings.Contains(t.String(), "inet6") {
		t.routes(b, routes6)
	}
	alone.line("# Leave all that names %s out of /etc/network/interfaces, and of /etc/network/interfaces.d.", b.NIC)
	return []File{
		{Path: "/etc/network/interfaces.d/pipework-" + b.Name, Text: t.String()},
		{Path: "/etc/network/interfaces", Text: alone.String(), Instead: true},
	}
}

func (t *text) routes(b Bridge, routes []Route) {
	for _, r := range routes {
		line := fmt.Sprintf("    up ip route add %s", r.Dst)
		if r.Gateway.IsValid() {
			line += " via " + r.Gateway.String()
		}
		line += " dev " + b.Name
		if r.OnLink {
			line += " onlink"
		}
		if r.Src.IsValid() {
			line += " src " + r.Src.String()
		}
		if r.Metric != 0 {
			line += fmt.Sprintf(" metric %d", r.Metric)
		}
		if r.Table != MainTable {
			line += fmt.Sprintf(" table %d", r.Table)
		}
		t.line("%s", line)
	}
}
