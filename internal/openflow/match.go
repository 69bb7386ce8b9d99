package openflow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// A Field is one that a flow's frames have to have this value in, in the bits of the Mask;
// a nil Mask is all of them.
type Field struct {
	class       uint16
	number      byte
	Value, Mask []byte
}

// Classes of fields: section 7.2.3.3 of the specification, nicira-ext.h.
const (
	classNXM   = 0x0001 // Nicira's own
	classBasic = 0x8000
)

const (
	numberVLAN     = 6
	numberFragment = 26 // of Nicira's
)

func basic(number byte, value ...byte) Field {
	return Field{class: classBasic, number: number, Value: value}
}

func two(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// Of what a match is made: table 12 of the specification.

func InPort(n uint32) Field         { return basic(0, binary.BigEndian.AppendUint32(nil, n)...) }
func EthSrc(mac []byte) Field       { return basic(4, mac...) }
func EthType(n uint16) Field        { return basic(5, two(n)...) }
func IPDSCP(n byte) Field           { return basic(8, n) }
func IPProto(n byte) Field          { return basic(10, n) }
func IPv4Src(a []byte) Field        { return basic(11, a...) }
func UDPSrc(n uint16) Field         { return basic(15, two(n)...) }
func UDPDst(n uint16) Field         { return basic(16, two(n)...) }
func ICMPType(n byte) Field         { return basic(19, n) }
func ARPSender(a []byte) Field      { return basic(22, a...) }
func ARPTarget(a []byte) Field      { return basic(23, a...) }
func ARPSenderMAC(mac []byte) Field { return basic(24, mac...) }
func IPv6Src(a []byte) Field        { return basic(26, a...) }
func ICMPv6Type(n byte) Field       { return basic(29, n) }
func ICMPv6Code(n byte) Field       { return basic(30, n) }
func NDTarget(a []byte) Field       { return basic(31, a...) }

// Untagged is of frames without a VLAN tag.
func Untagged() Field { return basic(numberVLAN, 0, 0) }

// Tagged is of frames whose outer tag has this VLAN.
func Tagged(vlan uint16) Field { return basic(numberVLAN, two(0x1000|vlan)...) }

// Whole is of packets that are no fragments (NXM_NX_IP_FRAG).
func Whole() Field { return Field{class: classNXM, number: numberFragment, Value: []byte{0}} }

// FirstFragment is of the first ones of several (NXM_NX_IP_FRAG).
func FirstFragment() Field {
	return Field{class: classNXM, number: numberFragment, Value: []byte{1}}
}

// Register is of frames with this value in the register, 0 to 15 (NXM_NX_REG): 0 in each when a
// frame comes in.
func Register(number byte, value uint32) Field {
	return Field{class: classNXM, number: number, Value: binary.BigEndian.AppendUint32(nil, value)}
}

// Masked is the field with a mask.
func (f Field) Masked(mask []byte) Field {
	f.Mask = mask
	return f
}

// append encodes the field: OXM, section 7.2.3.2.
func (f Field) append(b []byte) []byte {
	hasMask := byte(0)
	if f.Mask != nil {
		hasMask = 1
	}
	b = append(b, byte(f.class>>8), byte(f.class), f.number<<1|hasMask, byte(len(f.Value)+len(f.Mask)))
	return append(append(b, f.Value...), f.Mask...)
}

// A Match is the fields that a frame has to have, all of them.
type Match []Field

// append encodes the match: OFPMT_OXM, padded to 8 bytes.
func (m Match) append(b []byte) []byte {
	var fields []byte
	for _, f := range m {
		fields = f.append(fields)
	}
	b = append(b, 0, 1)
	b = append(b, two(uint16(4+len(fields)))...)
	b = append(b, fields...)
	return append(b, make([]byte, padding(4+len(fields)))...)
}

func padding(n int) int { return (8 - n%8) % 8 }

// parseMatch reads a match, and returns what comes after it.
func parseMatch(b []byte) (m Match, rest []byte, err error) {
	if len(b) < 4 || b[0] != 0 || b[1] != 1 {
		return nil, nil, errGarbage("a match of another type")
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 4 || n+padding(n) > len(b) {
		return nil, nil, errGarbage("a match with a length of %d", n)
	}
	fields, rest := b[4:n], b[n+padding(n):]
	for len(fields) > 0 {
		if len(fields) < 4 || len(fields) < 4+int(fields[3]) {
			return nil, nil, errGarbage("a field that is cut off")
		}
		f := Field{class: binary.BigEndian.Uint16(fields), number: fields[2] >> 1}
		value := fields[4 : 4+int(fields[3])]
		if fields[2]&1 != 0 {
			half := len(value) / 2
			f.Mask, value = value[half:], value[:half]
		}
		f.Value = value
		m, fields = append(m, f), fields[4+int(fields[3]):]
	}
	return m, rest, nil
}

// key is the same for equal matches: a switch chooses the order of the fields, and may say with
// a mask that a value is whole.
func (m Match) key() []byte {
	var all [][]byte
	for _, f := range m {
		if f.whole() {
			f.Mask = nil
		}
		all = append(all, f.append(nil))
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil)
}

// whole says whether the mask has all bits that the field has.
func (f Field) whole() bool {
	all := slices.Repeat([]byte{0xff}, len(f.Value))
	switch {
	case f.class == classNXM && f.number == numberFragment:
		all = []byte{3}
	case f.class == classBasic && f.number == numberVLAN:
		all = []byte{0x1f, 0xff}
	}
	if len(f.Mask) != len(all) {
		return false
	}
	for i := range all {
		if f.Mask[i]&all[i] != all[i] {
			return false
		}
	}
	return true
}

func errGarbage(format string, args ...any) error {
	return fmt.Errorf("the switch does not speak OpenFlow: %s", fmt.Sprintf(format, args...))
}
