package openflow

import (
	"encoding/binary"
	"fmt"
)

// A Flow says what becomes of frames in table 0 of a bridge: of those that the Match fits, the
// one with the highest Priority decides.
type Flow struct {
	Cookie   uint64 // whose it is
	Priority uint16
	Match    Match
	// Then is what to do; nil: drop the frame.
	Then []byte
}

// Key is the same for flows that are equal.
func (f Flow) Key() string {
	return fmt.Sprintf("%x %d %x %x", f.Cookie, f.Priority, f.Match.key(), f.Then)
}

// Again is what to do for writing a register and looking the frame up in table 0 once more:
// an instruction OFPIT_APPLY_ACTIONS of NXAST_REG_LOAD and NXAST_RESUBMIT_TABLE.
func Again(register byte, value uint32) []byte { return apply(again(register, value)) }

// SetAgain is Again, with a field changed before (OFPAT_SET_FIELD).
func SetAgain(f Field, register byte, value uint32) []byte {
	set := f.append([]byte{0, 25, 0, 0})
	set = append(set, make([]byte, padding(len(set)))...)
	set[3] = byte(len(set))
	return apply(append(set, again(register, value)...))
}

// apply is the instruction for actions.
func apply(actions []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, 4}, uint16(8+len(actions)))
	return append(append(b, 0, 0, 0, 0), actions...)
}

func again(register byte, value uint32) []byte {
	const nicira, load, resubmit = 0x00002320, 7, 14
	b := []byte{0xff, 0xff, 0, 24}
	b = binary.BigEndian.AppendUint32(b, nicira)
	b = append(b, 0, load, 0, 31)                         // bits 0 to 31
	b = append(b, 0, classNXM, register<<1, 4)            // of the register
	b = append(b, 0, 0, 0, 0)                             // are to be
	b = binary.BigEndian.AppendUint32(b, value)           // this
	b = append(b, 0xff, 0xff, 0, 16)                      //
	b = binary.BigEndian.AppendUint32(b, nicira)          //
	return append(b, 0, resubmit, 0xff, 0xf8, 0, 0, 0, 0) // by the same port, in table 0
}

// A Mod is one change of a bridge's flows.
type Mod struct {
	command byte
	mask    uint64 // of the cookie
	flow    Flow
}

// Commands of a flow mod: section 7.3.4.1.
const (
	commandAdd    = 0
	commandDelete = 3
)

// Add adds a flow, in the place of one with the same priority and match.
func Add(f Flow) Mod { return Mod{command: commandAdd, flow: f} }

// Delete deletes the flows whose cookie is this one in the bits of the mask, and which have
// these fields.
func Delete(cookie, mask uint64, fields ...Field) Mod {
	return Mod{command: commandDelete, mask: mask, flow: Flow{Cookie: cookie, Match: fields}}
}

// append encodes an OFPT_FLOW_MOD without its header.
func (m Mod) append(b []byte) []byte {
	const nobody, anyPort, anyGroup = 0xffffffff, 0xffffffff, 0xffffffff
	b = binary.BigEndian.AppendUint64(b, m.flow.Cookie)
	b = binary.BigEndian.AppendUint64(b, m.mask)
	b = append(b, 0, m.command, 0, 0, 0, 0) // table 0, no timeouts
	b = append(b, two(m.flow.Priority)...)
	b = binary.BigEndian.AppendUint32(b, nobody) // no buffer
	b = binary.BigEndian.AppendUint32(b, anyPort)
	b = binary.BigEndian.AppendUint32(b, anyGroup)
	b = append(b, 0, 0, 0, 0) // no flags, no importance
	return append(m.flow.Match.append(b), m.flow.Then...)
}

// parseFlows reads the entries of an answer to OFPMP_FLOW: section 7.3.5.2.
func parseFlows(b []byte) (list []Flow, err error) {
	const fixed = 48
	for len(b) > 0 {
		if len(b) < fixed {
			return nil, errGarbage("a flow that is cut off")
		}
		n := int(binary.BigEndian.Uint16(b))
		if n < fixed || n > len(b) {
			return nil, errGarbage("a flow with a length of %d", n)
		}
		f := Flow{Priority: binary.BigEndian.Uint16(b[12:]), Cookie: binary.BigEndian.Uint64(b[24:])}
		if f.Match, f.Then, err = parseMatch(b[fixed:n]); err != nil {
			return nil, err
		}
		list, b = append(list, f), b[n:]
	}
	return list, nil
}
