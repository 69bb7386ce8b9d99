package link

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/net/bpf"
)

// Where things are in a frame without a tag.
const (
	atSource   = 6
	atType     = 12
	atPayload  = 14
	sizeofIPv4 = 20
	sizeofIPv6 = 40
	sizeofARP  = 28
	at4        = atPayload + sizeofIPv4
	at6        = atPayload + sizeofIPv6
)

// Numbers of the protocols: RFC 826, RFC 791, RFC 8200.
const (
	typeARP, typeIPv4, typeIPv6                   = 0x0806, 0x0800, 0x86dd
	protoHopByHop, protoICMP, protoIGMP, protoUDP = 0, 1, 2, 17
	protoRouting, protoFragment                   = 43, 44
	protoICMPv6, protoOptions, protoPIM           = 58, 60, 103
	icmp6Report1, icmp6Done, icmp6Report2         = 131, 132, 143 // of MLD: RFC 2710, RFC 3810
	icmp6RS, icmp6NS, icmp6NA                     = 133, 135, 136 // RFC 4861

	portServer4, portClient4, portServer6, portClient6 = 67, 68, 547, 546 // RFC 2131, RFC 8415
)

// What only routers say: redirects and advertisements (RFC 792, RFC 1256, RFC 4861), queries for
// members of groups (IGMP and MLD, RFC 3376 and RFC 3810), advertisements of multicast routers
// and their end (RFC 4286). By queries, the last two and PIM (RFC 7761), which is dropped as a
// whole, a bridge with multicast snooping takes a port for a router's, which gets all groups.
var (
	icmpOfRouters  = []uint32{5, 9}
	igmpOfRouters  = []uint32{0x11, 0x30, 0x32}
	icmp6OfRouters = []uint32{130, 134, 137, 151, 153}
)

// Verdicts of a classifier (linux/pkt_cls.h).
const (
	verdictNext = 0xffffffff // TC_ACT_UNSPEC: whatever comes next says
	verdictDrop = 2          // TC_ACT_SHOT
)

// maxExtensions is how many extension headers of IPv6 are gone through; a packet with more is
// dropped, for what is behind them cannot be told (RFC 7113).
const maxExtensions = 2

// Where the program keeps what it knows of an IPv6 packet.
const (
	slotUnspecified = iota // 1: its source is ::
	slotNext               // the next header's number
	slotAt                 // and where that is
)

// program looks at a frame, and tells whether it may pass. A load of what is not there ends a
// classic program with 0, which lets the frame pass: what a decision depends on is there.
func (p Pin) program() ([]bpf.RawInstruction, error) {
	var a assembler
	p.tags(&a)
	p.frame(&a)
	p.arp(&a)
	p.ipv4(&a)
	p.ipv6(&a)
	a.label("drop")
	a.add(bpf.RetConstant{Val: verdictDrop})
	a.label("pass")
	a.add(bpf.RetConstant{Val: verdictNext})
	return a.assemble()
}

// tags looks at the tag, which the kernel has taken off the frame by then.
func (p Pin) tags(a *assembler) {
	a.add(bpf.LoadExtension{Num: bpf.ExtVLANTagPresent})
	a.when(bpf.JumpEqual, 0, "untagged")
	if len(p.Tags) > 0 {
		a.add(bpf.LoadExtension{Num: bpf.ExtVLANTag}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfff})
		for _, tag := range p.Tags {
			a.when(bpf.JumpEqual, uint32(tag), "untagged")
		}
	}
	a.jump("drop")
	a.label("untagged")
}

func (p Pin) frame(a *assembler) {
	p.mac(a, atSource)
	a.add(bpf.LoadAbsolute{Off: atType, Size: 2})
	a.when(bpf.JumpEqual, typeARP, "arp")
	a.when(bpf.JumpEqual, typeIPv4, "ipv4")
	a.when(bpf.JumpEqual, typeIPv6, "ipv6")
	a.jump("drop")
}

// mac drops what has another MAC there.
func (p Pin) mac(a *assembler, at uint32) {
	a.add(bpf.LoadAbsolute{Off: at, Size: 4})
	a.when(bpf.JumpNotEqual, binary.BigEndian.Uint32(p.MAC), "drop")
	a.add(bpf.LoadAbsolute{Off: at + 4, Size: 2})
	a.when(bpf.JumpNotEqual, uint32(binary.BigEndian.Uint16(p.MAC[4:])), "drop")
}

func (p Pin) arp(a *assembler) {
	a.label("arp")
	a.atLeast(atPayload + sizeofARP)
	a.add(bpf.LoadAbsolute{Off: atPayload, Size: 4})
	a.when(bpf.JumpNotEqual, 1<<16|typeIPv4, "drop") // of Ethernet, for IPv4
	a.add(bpf.LoadAbsolute{Off: atPayload + 4, Size: 2})
	a.when(bpf.JumpNotEqual, 6<<8|4, "drop") // bytes of an address
	p.mac(a, atPayload+8)
	a.add(bpf.LoadAbsolute{Off: atPayload + 14, Size: 4})
	p.own4(a, "pass")
	a.when(bpf.JumpNotEqual, 0, "drop")
	if p.DHCP {
		a.jump("pass")
		return
	}
	a.add(bpf.LoadAbsolute{Off: atPayload + 24, Size: 4}) // a probe
	p.own4(a, "pass")
	a.jump("drop")
}

// own4 goes to the label where the IPv4 address that was loaded is one of the guest's.
func (p Pin) own4(a *assembler, label string) {
	for _, ip := range p.Own() {
		if ip.Is4() {
			a.when(bpf.JumpEqual, binary.BigEndian.Uint32(ip.AsSlice()), label)
		}
	}
}

func (p Pin) ipv4(a *assembler) {
	a.label("ipv4")
	a.atLeast(at4)
	a.version(4)
	a.add(bpf.LoadAbsolute{Off: atPayload + 12, Size: 4})
	p.own4(a, "own4")
	a.when(bpf.JumpNotEqual, 0, "drop")

	a.add(bpf.LoadAbsolute{Off: atPayload + 9, Size: 1}) // without a source: a client of DHCP
	a.when(bpf.JumpNotEqual, protoUDP, "drop")
	a.add(bpf.LoadAbsolute{Off: atPayload + 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x3fff, "drop") // a fragment
	a.add(bpf.LoadMemShift{Off: atPayload}, bpf.LoadIndirect{Off: atPayload, Size: 4})
	a.when(bpf.JumpEqual, portClient4<<16|portServer4, "pass")
	a.jump("drop")

	a.label("own4")
	a.add(bpf.LoadMemShift{Off: atPayload}, bpf.LoadAbsolute{Off: atPayload + 9, Size: 1})
	a.when(bpf.JumpEqual, protoPIM, "drop")
	a.when(bpf.JumpEqual, protoIGMP, "igmp") // bridges look into later fragments, too
	a.when(bpf.JumpEqual, protoICMP, "first")
	a.when(bpf.JumpNotEqual, protoUDP, "pass")
	a.label("first")
	a.add(bpf.LoadAbsolute{Off: atPayload + 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1fff, "pass") // not the first fragment
	a.add(bpf.LoadAbsolute{Off: atPayload + 9, Size: 1})
	a.when(bpf.JumpEqual, protoICMP, "icmp4")
	a.ofServer(atPayload, portServer4, portClient4)
	a.label("icmp4")
	a.add(bpf.LoadIndirect{Off: atPayload, Size: 1})
	a.drop(icmpOfRouters)
	a.jump("pass")
	a.label("igmp")
	a.add(bpf.LoadIndirect{Off: atPayload, Size: 1})
	a.drop(igmpOfRouters)
	a.jump("pass")
}

func (p Pin) ipv6(a *assembler) {
	a.label("ipv6")
	a.atLeast(at6)
	a.version(6)
	p.own6(a, bpf.LoadAbsolute{Off: atPayload + 8, Size: 4}, "own6")
	for word := range uint32(4) {
		a.add(bpf.LoadAbsolute{Off: atPayload + 8 + 4*word, Size: 4})
		a.when(bpf.JumpNotEqual, 0, "drop")
	}
	a.store(slotUnspecified, 1)
	a.jump("headers")
	a.label("own6")
	a.store(slotUnspecified, 0)
	a.label("headers")
	a.headers()

	a.label("udp6")
	a.unspecified("drop")
	a.reaches(8)
	a.add(bpf.LoadScratch{Dst: bpf.RegX, N: slotAt})
	a.ofServer(0, portServer6, portClient6)
	p.icmpv6(a)
}

func (p Pin) icmpv6(a *assembler) {
	a.label("icmpv6")
	a.reaches(4)
	a.add(bpf.LoadScratch{Dst: bpf.RegX, N: slotAt}, bpf.LoadIndirect{Size: 1})
	a.drop(icmp6OfRouters)
	a.when(bpf.JumpEqual, icmp6NA, "target")
	a.when(bpf.JumpEqual, icmp6NS, "solicitation")
	for _, kind := range []uint32{icmp6RS, icmp6Report1, icmp6Done, icmp6Report2} {
		a.when(bpf.JumpEqual, kind, "pass")
	}
	a.label("other6")
	a.unspecified("drop")
	a.jump("pass")

	a.label("solicitation") // without a source it asks whether somebody has the target
	a.unspecified("target")
	a.jump("pass")
	a.label("target")
	a.reaches(24)
	a.add(bpf.LoadScratch{Dst: bpf.RegX, N: slotAt})
	p.own6(a, bpf.LoadIndirect{Off: 8, Size: 4}, "pass")
	a.jump("drop")
}

// own6 goes to the label where the IPv6 address, whose first word is loaded by first, is one
// of the guest's.
func (p Pin) own6(a *assembler, first bpf.Instruction, label string) {
	for _, ip := range p.Own() {
		if ip.Is6() {
			a.words(first, 0, ip.AsSlice(), label)
		}
	}
	if id := Identifier(p.MAC); p.SLAAC {
		a.words(first, 8, id[:], label)
	}
}

// An assembler makes a program with labels, to which it only goes ahead.
type assembler struct {
	code   []bpf.Instruction
	labels map[string]int
	jumps  map[int]string
}

func (a *assembler) add(code ...bpf.Instruction) { a.code = append(a.code, code...) }

func (a *assembler) label(name string) {
	if a.labels == nil {
		a.labels = map[string]int{}
	}
	a.labels[name] = len(a.code)
}

// jump goes to the label. A jump with a condition does not reach as far.
func (a *assembler) jump(label string) {
	if a.jumps == nil {
		a.jumps = map[int]string{}
	}
	a.jumps[len(a.code)] = label
	a.add(bpf.Jump{})
}

// when goes to the label if what was loaded compares so with the value.
func (a *assembler) when(cond bpf.JumpTest, value uint32, label string) {
	a.add(bpf.JumpIf{Cond: cond, Val: value, SkipFalse: 1})
	a.jump(label)
}

// atLeast drops frames that are shorter.
func (a *assembler) atLeast(bytes uint32) {
	a.add(bpf.LoadExtension{Num: bpf.ExtLen})
	a.when(bpf.JumpLessThan, bytes, "drop")
}

// reaches drops frames without as many bytes from the next header on.
func (a *assembler) reaches(bytes uint32) {
	a.add(bpf.LoadScratch{Dst: bpf.RegA, N: slotAt}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: bytes}, bpf.TAX{},
		bpf.LoadExtension{Num: bpf.ExtLen}, bpf.JumpIfX{Cond: bpf.JumpLessThan, SkipFalse: 1})
	a.jump("drop")
}

func (a *assembler) version(n uint32) {
	a.add(bpf.LoadAbsolute{Off: atPayload, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0})
	a.when(bpf.JumpNotEqual, n<<4, "drop")
}

// drop drops what was loaded if it is one of these.
func (a *assembler) drop(values []uint32) {
	for _, v := range values {
		a.when(bpf.JumpEqual, v, "drop")
	}
}

// ofServer drops the UDP packet at this offset from X if it is from a server's port or to a
// client's, by which alone a client goes; others pass.
func (a *assembler) ofServer(at, server, client uint32) {
	a.add(bpf.LoadIndirect{Off: at, Size: 2})
	a.when(bpf.JumpEqual, server, "drop")
	a.add(bpf.LoadIndirect{Off: at + 2, Size: 2})
	a.when(bpf.JumpEqual, client, "drop")
	a.jump("pass")
}

func (a *assembler) store(slot int, value uint32) {
	a.add(bpf.LoadConstant{Dst: bpf.RegA, Val: value}, bpf.StoreScratch{Src: bpf.RegA, N: slot})
}

// unspecified goes to the label where the packet's source is ::.
func (a *assembler) unspecified(label string) {
	a.add(bpf.LoadScratch{Dst: bpf.RegA, N: slotUnspecified})
	a.when(bpf.JumpEqual, 1, label)
}

// words goes to the label where the words from there on are these.
func (a *assembler) words(first bpf.Instruction, skip uint32, want []byte, label string) {
	n := len(want) / 4
	for i := range n {
		switch at := skip + 4*uint32(i); load := first.(type) {
		case bpf.LoadAbsolute:
			a.add(bpf.LoadAbsolute{Off: load.Off + at, Size: 4})
		case bpf.LoadIndirect:
			a.add(bpf.LoadIndirect{Off: load.Off + at, Size: 4})
		}
		a.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(want[4*i:]), SkipTrue: uint8(2*(n-i) - 1)})
	}
	a.jump(label)
}

// headers goes through the extension headers of IPv6, to udp6, icmpv6 or other6.
func (a *assembler) headers() {
	a.add(bpf.LoadAbsolute{Off: atPayload + 6, Size: 1}, bpf.StoreScratch{Src: bpf.RegA, N: slotNext})
	a.store(slotAt, at6)
	for i := range maxExtensions + 1 {
		name := func(what string) string { return fmt.Sprint(what, i) }
		a.add(bpf.LoadScratch{Dst: bpf.RegA, N: slotNext})
		a.when(bpf.JumpEqual, protoUDP, "udp6")
		a.when(bpf.JumpEqual, protoICMPv6, "icmpv6")
		a.when(bpf.JumpEqual, protoPIM, "drop")
		a.when(bpf.JumpEqual, protoFragment, name("fragment"))
		for _, header := range []uint32{protoHopByHop, protoRouting, protoOptions} {
			a.when(bpf.JumpEqual, header, name("options"))
		}
		a.jump("other6")
		a.label(name("fragment"))
		if i < maxExtensions {
			a.fragment()
			a.jump(name("next"))
		}
		a.label(name("options"))
		if i == maxExtensions {
			a.jump("drop")
			continue
		}
		a.options()
		a.label(name("next"))
	}
}

// fragment goes behind the fragment header (RFC 8200, section 4.5). Only the first fragment
// tells what the packet is.
func (a *assembler) fragment() {
	a.reaches(8)
	a.add(bpf.LoadScratch{Dst: bpf.RegX, N: slotAt}, bpf.LoadIndirect{Off: 2, Size: 2})
	a.when(bpf.JumpBitsSet, 0xfff8, "other6")
	a.add(bpf.LoadIndirect{Size: 1}, bpf.StoreScratch{Src: bpf.RegA, N: slotNext})
	a.add(bpf.LoadScratch{Dst: bpf.RegA, N: slotAt}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 8}, bpf.StoreScratch{Src: bpf.RegA, N: slotAt})
}

// options goes behind a header that tells its length, in units of 8 bytes beside the first.
func (a *assembler) options() {
	a.reaches(8)
	a.add(bpf.LoadScratch{Dst: bpf.RegX, N: slotAt},
		bpf.LoadIndirect{Size: 1}, bpf.StoreScratch{Src: bpf.RegA, N: slotNext},
		bpf.LoadIndirect{Off: 1, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 3},
		bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.StoreScratch{Src: bpf.RegA, N: slotAt})
}

// assemble fills in how far the jumps go.
func (a *assembler) assemble() ([]bpf.RawInstruction, error) {
	for _, at := range slices.Sorted(maps.Keys(a.jumps)) {
		to, known := a.labels[a.jumps[at]]
		if !known || to <= at {
			return nil, fmt.Errorf("no label %s ahead", a.jumps[at])
		}
		a.code[at] = bpf.Jump{Skip: uint32(to - at - 1)}
	}
	return bpf.Assemble(a.code)
}
