package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
)

// Spec fits what the line says to the backend that its host interface stands for,
// as link.Detect found it. What the backend has no use for (a host end's name, a
// VLAN, a MAC) is refused; [errors.Is] tells that as [ErrUsage]. A further line for
// the same interface adds its addresses.
func (l Line) Spec(b link.Backend) (pipework.Spec, error) {
	s := pipework.Spec{
		Name: l.Name, MAC: l.MAC, MTU: l.MTU, Addrs: l.Addrs, Gateways: l.Gateways, SLAAC: l.SLAAC,
		Routes: l.Routes, Rules: l.Rules, Egress: l.Egress, Ingress: l.Ingress, Pin: l.Pin, Add: true,
	}
	var p problems
	if asked, err := l.DHCPConfig(); l.DHCP != "" && asked.Program == "" {
		p.add(err)
		s.DHCP = &asked.Config
		s.DHCP.ResolvConf = l.ResolvConf
	} else if l.Pin && asked.Program != "" {
		p.addf("--pin: what address %s brings nobody else knows: write dhcp", asked.Program)
	} else if l.ResolvConf != "" {
		p.addf("--resolv-conf %s: only the address dhcp brings name servers", l.ResolvConf)
	}
	if l.DirectPhys {
		b = l.phys(&p, b)
	}
	if ib, is := b.(link.IPoIB); is {
		ib.PKey = l.pkey(&p)
		b = ib
		if s.Name == "" {
			s.Name = "ib0"
		}
	} else if l.VLAN != "" {
		b = l.tagged(&p, b)
	}
	if l.HostName != "" && !isNIC(b) {
		b = l.named(&p, b)
	}
	if l.Trunks != nil {
		b = l.trunked(&p, b)
	}
	if l.Isolated {
		b = isolated(&p, b)
	}
	switch kind := b.(type) {
	case link.Bridge:
		kind.Firewall, kind.Hairpin = l.Firewall, l.Hairpin
		b = kind
	case link.VLAN:
		if kind.VLAN == 0 && l.VLAN == "" {
			p.addf("%s is a VLAN interface: say which VLAN, such as @100", l.Interface)
		}
	case link.Veth:
		if kind.PeerName != "" {
			kind.PeerAddrs = l.endAddrs(&p, kind.Peer.String()+"'s end")
		} else {
			kind.HostAddrs = l.endAddrs(&p, "the host's end")
		}
		b = kind
	}
	if _, is := b.(link.Bridge); !is && l.Hairpin {
		p.addf("--hairpin is a setting of a Linux bridge's port: %s has none", b)
	}
	s.Link = b
	return s, p.err()
}

// isolated keeps the guest from others that are kept so.
func isolated(p *problems, b link.Backend) link.Backend {
	with, has := b.(link.Isolator)
	if !has {
		p.addf("--isolated: %s is no port of a bridge", b)
		return b
	}
	return with.Isolate()
}

// trunked lets the VLANs pass tagged.
func (l Line) trunked(p *problems, b link.Backend) link.Backend {
	with, has := b.(link.WithTrunks)
	if !has {
		p.addf("--trunk: %s is no port of a bridge", b)
		return b
	}
	return with.WithTrunks(l.Trunks)
}

// endAddrs are the addresses of the other end of a pair: the gateways, which nobody else
// there could be.
func (l Line) endAddrs(p *problems, end string) (list []netip.Prefix) {
	for _, g := range l.Gateways {
		i := slices.IndexFunc(l.Addrs, func(a netip.Prefix) bool { return a.Contains(g) })
		if i < 0 {
			p.addf("the gateway %s of %s would be %s of the pair: choose one in the subnet of the guest's address", g, l.Interface, end)
			continue
		}
		list = append(list, netip.PrefixFrom(g, l.Addrs[i].Bits()))
	}
	return list
}

// tagged puts the guest into the VLAN.
func (l Line) tagged(p *problems, b link.Backend) link.Backend {
	with, has := b.(link.WithVLAN)
	if !has {
		p.addf("@%s: %s has no VLANs", l.VLAN, b)
		return b
	}
	id, err := l.VLANID()
	p.add(err)
	return with.WithVLAN(int(id))
}

// isNIC says that what is plugged in stands on a NIC of the host, or is one: then the
// classic tool did not look at -l.
func isNIC(b link.Backend) bool {
	switch b.(type) {
	case link.Macvlan, link.VLAN, link.IPoIB, link.Phys:
		return true
	}
	return false
}

// Ignored is what the line says and the backend has no use for, as the classic tool
// ignored it, in a sentence for people; "" where there is nothing.
func (l Line) Ignored(b link.Backend) string {
	if l.HostName == "" || !isNIC(b) {
		return ""
	}
	return fmt.Sprintf("-l %s is ignored: %s has no end on the host that could have a name", l.HostName, b)
}

// named names the host's end of the pair.
func (l Line) named(p *problems, b link.Backend) link.Backend {
	with, has := b.(link.WithHostName)
	if v, is := b.(link.Veth); !has || is && v.PeerName != "" {
		p.addf("-l %s: %s has no end on the host that could have a name", l.HostName, b)
		return b
	}
	return with.WithHostName(l.HostName)
}

// phys makes the host's interface itself what is plugged in.
func (l Line) phys(p *problems, b link.Backend) link.Backend {
	switch b := b.(type) {
	case link.Macvlan:
		return l.itself(b.Parent)
	case link.IPoIB:
		return link.Phys{Device: b.Parent}
	case link.Phys:
		return l.itself(b.Device)
	}
	p.add(errors.New("--direct-phys moves a network interface of the host into the guest: " + l.Interface + " is none"))
	return b
}

// itself is the NIC, or a VLAN of it where the line asks for one, which is made in the
// guest: the NIC then stays on the host.
func (l Line) itself(nic string) link.Backend {
	if l.VLAN != "" {
		return link.VLAN{Parent: nic}
	}
	return link.Phys{Device: nic}
}

// pkey reads a partition key as the classic tool's ip did: hexadecimal, with or
// without 0x.
func (l Line) pkey(p *problems) uint16 {
	if l.VLAN == "" {
		return 0
	}
	key, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(l.VLAN), "0x"), 16, 16)
	if err != nil || key&0x7fff == 0 {
		p.add(fmt.Errorf("the partition key %q is not a hexadecimal number from 1 to ffff: write one, such as @8001", l.VLAN))
	}
	return uint16(key)
}
