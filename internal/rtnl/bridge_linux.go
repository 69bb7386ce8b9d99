package rtnl

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Attributes of linux/if_link.h and linux/if_bridge.h that x/sys/unix lacks.
const (
	brSTPState        = 5  // IFLA_BR_STP_STATE
	brVLANFiltering   = 7  // IFLA_BR_VLAN_FILTERING
	brVLANDefaultPVID = 39 // IFLA_BR_VLAN_DEFAULT_PVID
	brportMode        = 4  // IFLA_BRPORT_MODE: hairpin
	brportIsolated    = 33 // IFLA_BRPORT_ISOLATED
	bridgeVLANInfo    = 2  // IFLA_BRIDGE_VLAN_INFO
	filterVLAN        = 4  // RTEXT_FILTER_BRVLAN_COMPRESSED: as ranges
	vlanRangeEnd      = 16 // BRIDGE_VLAN_INFO_RANGE_END
)

// Flags of struct bridge_vlan_info.
const (
	VLANPVID     = 2 // BRIDGE_VLAN_INFO_PVID
	VLANUntagged = 4 // BRIDGE_VLAN_INFO_UNTAGGED
)

// FilterVLANs is the option of a new bridge that filters VLANs. A kernel whose
// bridges know none refuses or ignores it.
func FilterVLANs() Option { return Option{Type: brVLANFiltering, Value: []byte{1}} }

// VLANFiltering tells whether the bridge filters VLANs, and whether it could.
func (l *Link) VLANFiltering() (on, possible bool) {
	v := Attr(l.Data, brVLANFiltering)
	return len(v) == 1 && v[0] != 0, v != nil
}

// SpanningTree tells whether the bridge takes part in a spanning tree.
func (l *Link) SpanningTree() bool { return u32(Attr(l.Data, brSTPState)) != 0 }

// DefaultPVID is the VLAN that a new port of the bridge belongs to; 0: none.
func (l *Link) DefaultPVID() uint16 {
	if v := Attr(l.Data, brVLANDefaultPVID); len(v) == 2 {
		return binary.NativeEndian.Uint16(v)
	}
	return 0
}

// PortFlags are settings of a bridge port: whether it is kept from other isolated
// ports, and whether frames go back out of it.
type PortFlags struct{ Isolated, Hairpin bool }

// PortFlags reads them from a port.
func (l *Link) PortFlags() PortFlags {
	return PortFlags{Isolated: flag(l.PortData, brportIsolated), Hairpin: flag(l.PortData, brportMode)}
}

func flag(list []byte, attrType uint16) bool {
	v := Attr(list, attrType)
	return len(v) == 1 && v[0] != 0
}

// bridgeHeader begins a message about a bridge port: family AF_BRIDGE.
func bridgeHeader(index int) message {
	m := linkHeader(index, 0, 0)
	m[0] = unix.AF_BRIDGE
	return m
}

// SetPortFlags sets a bridge port's flags.
func SetPortFlags(ctx context.Context, c *ns.Conn, index int, f PortFlags) error {
	m := bridgeHeader(index)
	info := m.nest(unix.IFLA_PROTINFO | unix.NLA_F_NESTED)
	m.attr(brportIsolated, bit(f.Isolated))
	m.attr(brportMode, bit(f.Hairpin))
	m.end(info)
	if _, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0); err != nil {
		return fmt.Errorf("set the bridge port's isolation and hairpin mode: %w", err)
	}
	return nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// VLANs are the VLANs of a bridge port: number and flags.
type VLANs map[uint16]uint16

// SetVLANs adds the VLANs to a bridge port, or changes their flags.
func SetVLANs(ctx context.Context, c *ns.Conn, index int, v VLANs) error {
	return sendVLANs(ctx, c, unix.RTM_SETLINK, index, v)
}

// DelVLANs takes the VLANs from a bridge port.
func DelVLANs(ctx context.Context, c *ns.Conn, index int, v VLANs) error {
	return sendVLANs(ctx, c, unix.RTM_DELLINK, index, v)
}

func sendVLANs(ctx context.Context, c *ns.Conn, msgType, index int, v VLANs) error {
	if len(v) == 0 {
		return nil
	}
	m := bridgeHeader(index)
	spec := m.nest(unix.IFLA_AF_SPEC)
	for _, vid := range slices.Sorted(maps.Keys(v)) {
		info := m.nest(bridgeVLANInfo)
		m = binary.NativeEndian.AppendUint16(m, v[vid])
		m = binary.NativeEndian.AppendUint16(m, vid)
		m.end(info)
	}
	m.end(spec)
	if _, err := c.Do(ctx, m.request(msgType, unix.NLM_F_ACK), 0); err != nil {
		return fmt.Errorf("set the bridge port's VLANs: %w", err)
	}
	return nil
}

// PortVLANs lists the VLANs of one bridge port. The kernel tells those of all.
func PortVLANs(ctx context.Context, c *ns.Conn, index int) (VLANs, error) {
	m := bridgeHeader(0)
	m.attrU32(unix.IFLA_EXT_MASK, filterVLAN)
	msgs, err := c.Do(ctx, m.request(unix.RTM_GETLINK, unix.NLM_F_DUMP), unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("list the VLANs of bridge ports: %w", err)
	}
	found := VLANs{}
	for _, msg := range msgs {
		if len(msg) < unix.SizeofIfInfomsg || int(u32(msg[4:])) != index {
			continue
		}
		var first uint16
		for t, v := range attrs(Attr(msg[unix.SizeofIfInfomsg:], unix.IFLA_AF_SPEC)) {
			if t != bridgeVLANInfo || len(v) != 4 {
				continue
			}
			flags, vid := binary.NativeEndian.Uint16(v), binary.NativeEndian.Uint16(v[2:])
			if flags&vlanRangeEnd == 0 {
				first = vid
			}
			for ; first <= vid; first++ {
				found[first] = flags & (VLANPVID | VLANUntagged)
			}
		}
	}
	return found, nil
}
