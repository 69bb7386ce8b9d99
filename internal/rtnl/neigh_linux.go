package rtnl

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Of linux/neighbour.h: the size of struct ndmsg, an attribute, and states.
const (
	sizeofNdMsg = 12
	ndaIfindex  = 8  // NDA_IFINDEX
	ndaProtocol = 12 // NDA_PROTOCOL

	neighUnknown = unix.NUD_NONE | unix.NUD_INCOMPLETE | unix.NUD_FAILED | unix.NUD_NOARP
	neighProbed  = unix.NUD_DELAY | unix.NUD_PROBE
)

// Neighbours are the link's neighbours that are known, and for whom it answers (proxies).
func Neighbours(ctx context.Context, c *ns.Conn, index int) (saved []Saved, err error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		for _, flags := range []byte{0, unix.NTF_PROXY} {
			m := make(message, sizeofNdMsg, 32)
			m[0], m[10] = family, flags
			m.attrU32(ndaIfindex, uint32(index)) // a filter
			msgs, err := c.DoWhere(ctx, m.request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP), unix.RTM_NEWNEIGH, func(m []byte) bool {
				return len(m) >= sizeofNdMsg && m[0] == family && int(u32(m[4:])) == index && (flags != 0 || !Saved(m).unknown())
			})
			if err != nil {
				return nil, fmt.Errorf("list neighbours: %w", err)
			}
			for _, m := range msgs {
				saved = append(saved, m)
			}
		}
	}
	return saved, nil
}

// Neighbour says whether s is one.
func (s Saved) Neighbour() bool { return len(s) >= sizeofNdMsg }

func (s Saved) state() uint16 { return binary.NativeEndian.Uint16(s[8:]) }

// unknown says whether the entry has no MAC that was learned, or set.
func (s Saved) unknown() bool { return s.state()&neighUnknown != 0 || s.state() == 0 }

// Lasts says whether the entry is an administrator's: permanent, or a proxy's.
func (s Saved) Lasts() bool { return s.state()&unix.NUD_PERMANENT != 0 || s[10]&unix.NTF_PROXY != 0 }

// PutNeighbour gives the link the neighbour. One that was just being asked for is old.
func (s Saved) PutNeighbour(ctx context.Context, c *ns.Conn, index int) error {
	return s.sendNeighbour(ctx, c, unix.RTM_NEWNEIGH, index)
}

// DelNeighbour takes the neighbour from the link.
func (s Saved) DelNeighbour(ctx context.Context, c *ns.Conn, index int) error {
	return s.sendNeighbour(ctx, c, unix.RTM_DELNEIGH, index)
}

func (s Saved) sendNeighbour(ctx context.Context, c *ns.Conn, msgType, index int) error {
	if len(s) < sizeofNdMsg {
		return nil
	}
	m := message(bytes.Clone(s[:sizeofNdMsg]))
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	if s.state()&neighProbed != 0 {
		binary.NativeEndian.PutUint16(m[8:], unix.NUD_STALE)
	}
	m[10] &= unix.NTF_ROUTER | unix.NTF_PROXY | unix.NTF_EXT_LEARNED
	for attr, value := range attrs(s[sizeofNdMsg:]) {
		if attr == unix.NDA_DST || attr == unix.NDA_LLADDR || attr == ndaProtocol {
			m.attr(attr, value...)
		}
	}
	flags := unix.NLM_F_ACK
	if msgType == unix.RTM_NEWNEIGH {
		flags |= unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	}
	_, err := c.Do(ctx, m.request(msgType, flags), 0)
	return err
}
