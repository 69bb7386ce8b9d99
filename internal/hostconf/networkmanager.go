package hostconf

import (
	"fmt"
	"strings"
)

// networkManager writes nm-settings-keyfile(5). Where several profiles fit an interface that with
// the highest priority counts.
func networkManager(b Bridge) []File {
	const dir = "/etc/NetworkManager/system-connections/"
	var br, port, alone text
	br.unsaid(b)
	const mode = "# NetworkManager reads it only where nobody else may: chmod 600"
	br.line(mode)
	port.line(mode)
	br.line("[connection]\nid=pipework-%s\ntype=bridge\ninterface-name=%s\nautoconnect-priority=100", b.Name, b.Name)
	br.line("\n[bridge]\nmac-address=%s\nstp=false", b.MAC)
	if b.MTU != usualMTU {
		br.line("\n[ethernet]\nmtu=%d", b.MTU)
	}
	for _, four := range []bool{true, false} {
		br.family(b, four)
	}
	port.line("[connection]\nid=pipework-%s\ntype=ethernet\ninterface-name=%s\nmaster=%s\nslave-type=bridge\nautoconnect-priority=100", b.NIC, b.NIC, b.Name)
	if b.MTU != usualMTU {
		port.line("\n[ethernet]\nmtu=%d", b.MTU)
	}
	// Of a NIC that it manages already it takes no managed=0 of a section [device], also after a restart.
	alone.line("[keyfile]\nunmanaged-devices+=interface-name:%s", b.NIC)
	return []File{
		{Path: dir + "pipework-" + b.Name + ".nmconnection", Text: br.String()},
		{Path: dir + "pipework-" + b.NIC + ".nmconnection", Text: port.String()},
		{Path: "/etc/NetworkManager/conf.d/pipework-" + b.NIC + ".conf", Text: alone.String(), Instead: true},
	}
}

// family writes the section of IPv4, or of IPv6.
func (t *text) family(b Bridge, four bool) {
	addrs, routes := b.of(four)
	name, given, none := "ipv4", b.DHCP4, "disabled"
	if !four {
		name, given, none = "ipv6", b.Advertised, "link-local"
	}
	method := none
	switch {
	case given:
		method = "auto"
	case len(addrs) > 0:
		method = "manual"
	}
	t.line("\n[%s]\nmethod=%s", name, method)
	if four && given {
		t.line("dhcp-client-id=mac")
	}
	if !four && method != none {
		t.line("addr-gen-mode=eui64")
	}
	for i, a := range addrs {
		t.line("address%d=%s", i+1, a)
	}
	for i, r := range routes {
		metric, gateway := r.Metric, ""
		if !four && metric == 0 {
			metric = 1024 // as the kernel has it
		}
		if r.Gateway.IsValid() {
			gateway = r.Gateway.String()
		} else if four {
			gateway = "0.0.0.0"
		} else {
			gateway = "::"
		}
		t.line("route%d=%s,%s,%d", i+1, r.Dst, gateway, metric)
		var options []string
		if r.OnLink {
			options = append(options, "onlink=true")
		}
		if r.Src.IsValid() {
			options = append(options, "src="+r.Src.String())
		}
		if r.Table != MainTable {
			options = append(options, fmt.Sprintf("table=%d", r.Table))
		}
		if len(options) > 0 {
			t.line("route%d_options=%s", i+1, strings.Join(options, ","))
		}
	}
}
