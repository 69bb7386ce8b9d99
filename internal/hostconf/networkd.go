package hostconf

// networkd writes systemd.netdev(5) and systemd.network(5). Of the files that match an interface the
// first one counts, in the order of their names.
func networkd(b Bridge) []File {
	const dir = "/etc/systemd/network/05-pipework-"
	var dev, port, br, alone text
	dev.line("[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s", b.Name, b.MAC)
	dev.line("\n[Bridge]\nSTP=no")

	port.line("[Match]\nName=%s", b.NIC)
	if b.MTU != usualMTU {
		port.line("\n[Link]\nMTUBytes=%d", b.MTU)
	}
	port.line("\n[Network]\nBridge=%s", b.Name)

	br.unsaid(b)
	br.line("[Match]\nName=%s", b.Name)
	if b.MTU != usualMTU {
		br.line("\n[Link]\nMTUBytes=%d", b.MTU)
	}
	dhcp := "no"
	if b.DHCP4 {
		dhcp = "ipv4"
	}
	br.line("\n[Network]\nDHCP=%s\nIPv6AcceptRA=%s", dhcp, yesNo(b.Advertised))
	for _, a := range b.Addrs {
		br.line("Address=%s", a)
	}
	if b.DHCP4 {
		br.line("\n[DHCPv4]\nClientIdentifier=mac")
	}
	for _, r := range b.Routes {
		br.line("\n[Route]\nDestination=%s", r.Dst)
		if r.Gateway.IsValid() {
			br.line("Gateway=%s", r.Gateway)
		} else if r.Dst.Addr().Is4() {
			br.line("Scope=link")
		}
		if r.OnLink {
			br.line("GatewayOnLink=yes")
		}
		if r.Src.IsValid() {
			br.line("PreferredSource=%s", r.Src)
		}
		if r.Metric != 0 {
			br.line("Metric=%d", r.Metric)
		}
		if r.Table != MainTable {
			br.line("Table=%d", r.Table)
		}
	}

	alone.line("[Match]\nName=%s\n\n[Link]\nUnmanaged=yes", b.NIC)
	return []File{
		{Path: dir + b.Name + ".netdev", Text: dev.String()},
		{Path: dir + b.NIC + ".network", Text: port.String()},
		{Path: dir + b.Name + ".network", Text: br.String()},
		{Path: dir + b.NIC + ".network", Text: alone.String(), Instead: true},
	}
}
