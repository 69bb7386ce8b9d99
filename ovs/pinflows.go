package ovs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/openflow"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// A pin's flows have a cookie that begins with "pi"; the rest is of the UUID of the port's row,
// which is random. A name would not do: users choose those of ports, and find two that are alike
// in 48 bits of any hash.
const (
	ourCookies     = 0x7069 << 48
	ourCookiesMask = 0xffff << 48
	oneCookie      = 1<<64 - 1
)

// cookie is that of the flows of the port with this row.
func cookie(port ovsdb.UUID) uint64 {
	digits := strings.ReplaceAll(port.GoUUID, "-", "")
	rest, _ := strconv.ParseUint(digits[:min(len(digits), 12)], 16, 64)
	return ourCookies | rest
}

// The register that tells how far a frame is. All flows are in table 0, through which a frame goes
// once more after each stage. One that may pass goes through it as if there were no pin: what the
// bridge does with it then is decided by others' flows, or by the one that a bridge is born with.
const register = 15

// Stages. The values are such that nobody else has them by chance.
const (
	arrived   = 0
	checked   = 0x70690000 + iota // its tag and its MAC are the guest's
	from4                         // from an IPv4 address of the guest's
	from6                         // from an IPv6 address of the guest's
	fromNone6                     // from ::
	passed
)

// Priorities: of exceptions, of what decides, and of all other frames of a stage. Nobody's are
// higher.
const (
	exception = 65535 - iota
	rule
	otherwise
)

// Numbers of the protocols; see link/pinprogram.go.
const (
	typeARP, typeIPv4, typeIPv6        = 0x0806, 0x0800, 0x86dd
	protoICMP, protoIGMP, protoUDP     = 1, 2, 17
	protoICMPv6, protoNone, protoPIM   = 58, 59, 103
	icmp6NS, icmp6NA                   = 135, 136
	server4, client4, server6, client6 = 67, 68, 547, 546
)

// Messages of routers, and those of ICMPv6 that a node without an address sends.
var (
	icmpOfRouters  = []byte{5, 9}
	icmp6OfRouters = []byte{130, 134, 137, 151, 153}
	icmp6OfNobody  = []byte{131, 132, 133, 143}
)

// A flowTable is what becomes of a [link.Pin].
type flowTable struct {
	link.Pin
	cookie uint64
	port   uint32 // by which the frames come in
	list   []openflow.Flow
}

// pinFlows are those that let pass what the Pin says, of this port with this number.
func pinFlows(p link.Pin, port ovsdb.UUID, number uint32) []openflow.Flow {
	t := &flowTable{Pin: p, cookie: cookie(port), port: number}
	t.ofEthernet()
	t.ofSource()
	t.ofIPv4()
	t.ofIPv6()
	t.ofNobody()
	return t.list
}

func (t *flowTable) add(stage uint32, priority uint16, then []byte, match ...openflow.Field) {
	all := append(openflow.Match{openflow.InPort(t.port), openflow.Register(register, stage)}, match...)
	t.list = append(t.list, openflow.Flow{Cookie: t.cookie, Priority: priority, Match: all, Then: then})
}

// next has a frame go on in another stage.
func (t *flowTable) next(stage, to uint32, match ...openflow.Field) {
	t.add(stage, rule, openflow.Again(register, to), match...)
}

func (t *flowTable) drop(stage uint32, match ...openflow.Field) { t.add(stage, rule, nil, match...) }

func (t *flowTable) others(stage uint32, then []byte) { t.add(stage, otherwise, then) }

// ofEthernet is the tag and the MAC.
func (t *flowTable) ofEthernet() {
	mac := openflow.EthSrc(t.MAC)
	t.next(arrived, checked, mac, openflow.Untagged())
	for _, vlan := range t.Tags {
		t.next(arrived, checked, mac, openflow.Tagged(uint16(vlan)))
	}
	t.others(arrived, nil)
}

// ofSource is ARP as a whole, and whose the address is that a packet comes from.
func (t *flowTable) ofSource() {
	arp, ip4, ip6 := openflow.EthType(typeARP), openflow.EthType(typeIPv4), openflow.EthType(typeIPv6)
	sender, nobody := openflow.ARPSenderMAC(t.MAC), openflow.ARPSender(make([]byte, 4))
	for _, a := range t.Own() {
		if a.Is6() {
			t.next(checked, from6, ip6, openflow.IPv6Src(a.AsSlice()))
			continue
		}
		t.next(checked, passed, arp, openflow.ARPSender(a.AsSlice()), sender)
		if !t.DHCP {
			t.next(checked, passed, arp, nobody, openflow.ARPTarget(a.AsSlice()), sender)
		}
		t.next(checked, from4, ip4, openflow.IPv4Src(a.AsSlice()))
	}
	if t.DHCP {
		t.next(checked, passed, arp, nobody, sender)
	}
	t.next(checked, passed, ip4, openflow.Whole(), openflow.IPProto(protoUDP),
		openflow.IPv4Src(make([]byte, 4)), openflow.UDPSrc(client4), openflow.UDPDst(server4))
	if t.SLAAC {
		t.next(checked, from6, ip6, t.identified(openflow.IPv6Src))
	}
	t.next(checked, fromNone6, ip6, openflow.IPv6Src(make([]byte, 16)))
	t.others(checked, nil)
}

// identified is the field with any prefix and the interface identifier of the MAC.
func (t *flowTable) identified(field func([]byte) openflow.Field) openflow.Field {
	id := link.Identifier(t.MAC)
	return field(slices.Concat(make([]byte, 8), id[:])).Masked(slices.Concat(make([]byte, 8), slices.Repeat([]byte{0xff}, 8)))
}

// ofIPv4 drops what only servers and routers say. Of IGMP a bridge does not tell the type. Of the
// first fragment of a packet it may not tell what it tells of others (ovs-ofctl(8), set-frags),
// and has 0 in the place of ports and types: what such a fragment is is not known then. It has 0 there,
// too, where a packet says that it ends before its ports: programs that read frames as they are, as
// clients of DHCP do, find them all the same.
func (t *flowTable) ofIPv4() {
	ip := openflow.EthType(typeIPv4)
	for _, proto := range []byte{protoIGMP, protoPIM} {
		t.drop(from4, ip, openflow.IPProto(proto))
	}
	t.ofServers(from4, server4, client4, ip)
	for _, first := range []openflow.Field{openflow.Whole(), openflow.FirstFragment()} {
		t.drop(from4, ip, first, openflow.IPProto(protoUDP), openflow.UDPSrc(0), openflow.UDPDst(0))
	}
	t.drop(from4, ip, openflow.FirstFragment(), openflow.IPProto(protoICMP), openflow.ICMPType(0))
	for _, kind := range icmpOfRouters {
		t.drop(from4, ip, openflow.IPProto(protoICMP), openflow.ICMPType(kind))
	}
	t.others(from4, openflow.Again(register, passed))
}

// ofServers drops UDP from a server's port and to a client's.
func (t *flowTable) ofServers(stage uint32, server, client uint16, ip openflow.Field) {
	udp := openflow.IPProto(protoUDP)
	t.drop(stage, ip, udp, openflow.UDPSrc(server))
	t.drop(stage, ip, udp, openflow.UDPDst(client))
}

// ofIPv6 is ofIPv4 for the other family, with the targets of neighbour advertisements. Where the
// headers make no sense, or end before they tell the protocol, that is 0, or "no next header" with the
// kernel's datapath; where a message is cut off its type is 0.
func (t *flowTable) ofIPv6() {
	ip, icmp := openflow.EthType(typeIPv6), openflow.IPProto(protoICMPv6)
	for _, proto := range []byte{0, protoNone, protoPIM} {
		t.drop(from6, ip, openflow.IPProto(proto))
	}
	t.ofServers(from6, server6, client6, ip)
	t.drop(from6, ip, openflow.IPProto(protoUDP), openflow.UDPSrc(0), openflow.UDPDst(0))
	for _, kind := range append([]byte{0, icmp6NA}, icmp6OfRouters...) {
		t.drop(from6, ip, icmp, openflow.ICMPv6Type(kind))
	}
	t.targets(from6, icmp6NA)
	t.others(from6, openflow.Again(register, passed))
}

// ofNobody is what a node without an address sends.
func (t *flowTable) ofNobody() {
	ip, icmp := openflow.EthType(typeIPv6), openflow.IPProto(protoICMPv6)
	for _, kind := range icmp6OfNobody {
		t.next(fromNone6, passed, ip, icmp, openflow.ICMPv6Type(kind))
	}
	t.targets(fromNone6, icmp6NS)
	t.targets(fromNone6, icmp6NA)
	t.others(fromNone6, nil)
}

// targets lets messages of neighbours of this type pass whose target is the guest's.
func (t *flowTable) targets(stage uint32, kind byte) {
	pass := func(target openflow.Field) {
		t.add(stage, exception, openflow.Again(register, passed), openflow.EthType(typeIPv6), openflow.IPProto(protoICMPv6),
			openflow.ICMPv6Type(kind), openflow.ICMPv6Code(0), target)
	}
	for _, a := range t.Own() {
		if a.Is6() {
			pass(openflow.NDTarget(a.AsSlice()))
		}
	}
	if t.SLAAC {
		pass(t.identified(openflow.NDTarget))
	}
}
