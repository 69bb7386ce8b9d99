package rtnl

import (
	"encoding/binary"
	"iter"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A message is the body of a request under construction: a header of its family
// and attributes, in one piece of memory. The netlink library's own attributes
// are a tree of which each node is allocated and copied at each level, which an
// attach can feel; [message.request] makes a request of the library's from it.
type message []byte

// attr appends one attribute, padded to four bytes.
func (m *message) attr(attrType uint16, value ...byte) {
	at := m.nest(attrType)
	*m = append(*m, value...)
	m.end(at)
}

func (m *message) attrString(attrType uint16, s string) {
	at := m.nest(attrType)
	*m = append(append(*m, s...), 0)
	m.end(at)
}

func (m *message) attrU32(attrType uint16, v uint32) {
	at := m.nest(attrType)
	*m = binary.NativeEndian.AppendUint32(*m, v)
	m.end(at)
}

// nest begins an attribute whose value is what is appended until end.
func (m *message) nest(attrType uint16) (at int) {
	at = len(*m)
	*m = binary.NativeEndian.AppendUint16(*m, 0)
	*m = binary.NativeEndian.AppendUint16(*m, attrType)
	return at
}

func (m *message) end(at int) {
	binary.NativeEndian.PutUint16((*m)[at:], uint16(len(*m)-at))
	for len(*m)%4 != 0 {
		*m = append(*m, 0)
	}
}

// linkHeader begins a link message: struct ifinfomsg.
func linkHeader(index int, flags, change uint32) message {
	m := make(message, unix.SizeofIfInfomsg, 256)
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	binary.NativeEndian.PutUint32(m[8:], flags)
	binary.NativeEndian.PutUint32(m[12:], change)
	return m
}

func (m message) request(msgType, flags int) *nl.NetlinkRequest {
	return &nl.NetlinkRequest{
		NlMsghdr: unix.NlMsghdr{Len: unix.SizeofNlMsghdr, Type: uint16(msgType), Flags: unix.NLM_F_REQUEST | uint16(flags)},
		RawData:  m,
	}
}

// attrs are the attributes in a piece of a message, type and value. What does
// not fit into the piece ends them.
func attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&typeMask, b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// typeMask takes NLA_F_NESTED and NLA_F_NET_BYTEORDER off an attribute type.
const typeMask = 0x3fff

// Attr finds the first attribute of this type in a list of them; nil if none.
func Attr(list []byte, attrType uint16) []byte {
	for t, value := range attrs(list) {
		if t == attrType {
			return value
		}
	}
	return nil
}
