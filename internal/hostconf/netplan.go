package hostconf

import "strings"

// netplan writes netplan(5).
func netplan(b Bridge) []File {
	var t, alone text
	t.unsaid(b)
	t.line("network:\n  version: 2\n  ethernets:\n    %s:\n      dhcp4: false\n      dhcp6: false\n      accept-ra: false\n      link-local: []", b.NIC)
	if b.MTU != usualMTU {
		t.line("      mtu: %d", b.MTU)
	}
	t.line("  bridges:\n    %s:\n      interfaces: [%s]\n      macaddress: %q", b.Name, b.NIC, b.MAC)
	if b.MTU != usualMTU {
		t.line("      mtu: %d", b.MTU)
	}
	if b.OVS {
		t.line("      openvswitch:\n        fail-mode: standalone")
	} else {
		t.line("      parameters:\n        stp: false\n        forward-delay: 0")
	}
	t.line("      dhcp4: %t\n      dhcp6: false\n      accept-ra: %t", b.DHCP4, b.Advertised)
	if b.DHCP4 {
		t.line("      dhcp-identifier: mac")
	}
	if len(b.Addrs) > 0 {
		var all []string
		for _, a := range b.Addrs {
			all = append(all, `"`+a.String()+`"`)
		}
		t.line("      addresses: [%s]", strings.Join(all, ", "))
	}
	if len(b.Routes) > 0 {
		t.line("      routes:")
	}
	for _, r := range b.Routes {
		t.line("        - to: %q", r.Dst)
		if r.Gateway.IsValid() {
			t.line("          via: %q", r.Gateway)
		} else {
			t.line("          scope: link")
		}
		if r.OnLink {
			t.line("          on-link: true")
		}
		if r.Src.IsValid() {
			t.line("          from: %q", r.Src)
		}
		if r.Metric != 0 {
			t.line("          metric: %d", r.Metric)
		}
		if r.Table != MainTable {
			t.line("          table: %d", r.Table)
		}
	}
	alone.line("# Leave %s out of all files of /etc/netplan; then, as systemd-networkd does what netplan says:", b.NIC)
	alone.line("[Match]\nName=%s\n\n[Link]\nUnmanaged=yes", b.NIC)
	return []File{
		{Path: "/etc/netplan/90-pipework-" + b.Name + ".yaml", Text: t.String()},
		{Path: "/etc/systemd/network/05-pipework-" + b.NIC + ".network", Text: alone.String(), Instead: true},
	}
}
