package ovsdb

import (
	"strconv"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"
)

// How the row of a port tells that package uplink has put a NIC of the host's there, and of what
// that has changed: in external_ids. They say so for whoever finds them after a restart of the
// machine, which the database outlives and the move of the addresses does not.
const (
	MadeKey    = "pipework.made"
	MadeUplink = "uplink"
	MadeBridge = "bridge"
	BootKey    = "pipework.boot"   // that it is of: ns.BootID
	hwaddrKey  = "pipework.hwaddr" // other_config:hwaddr of the bridge before; none: it had none
	mtuKey     = "pipework.mtu"    // mtu_request of the bridge's own interface before
)

// An Adopted is what a bridge had before a NIC's MAC and MTU were asked for.
type Adopted struct {
	HWAddr string `json:"hwaddr,omitempty"`
	MTU    string `json:"mtu,omitempty"`
}

// IDs are the external_ids of the NIC's port.
func (a Adopted) IDs(boot string) map[string]string {
	ids := map[string]string{MadeKey: MadeUplink, BootKey: boot}
	if a.HWAddr != "" {
		ids[hwaddrKey] = a.HWAddr
	}
	if a.MTU != "" {
		ids[mtuKey] = a.MTU
	}
	return ids
}

// AdoptedOf reads them.
func AdoptedOf(ids map[string]string) Adopted {
	return Adopted{HWAddr: ids[hwaddrKey], MTU: ids[mtuKey]}
}

// Ask has a bridge of this name ask for a MAC and an MTU; "" is none. Rows that are gone are left
// alone.
func (a Adopted) Ask(bridge string) []Op {
	const config, hwaddr = "other_config", "hwaddr"
	ops := []Op{Mutate("Bridge", Has("name", bridge), config, libovsdb.MutateOperationDelete, [2]any{"set", []string{hwaddr}})}
	if a.HWAddr != "" {
		ops = append(ops, Mutate("Bridge", Has("name", bridge), config, libovsdb.MutateOperationInsert, [2]any{"map", [][2]string{{hwaddr, a.HWAddr}}}))
	}
	mtu := Op{Operation: libovsdb.Operation{
		Op: libovsdb.OperationUpdate, Table: "Interface", Where: Has("name", bridge), Row: Columns{"mtu_request": numbers(a.MTU)}.encode(),
	}}
	ops = append(ops, mtu)
	for i := range ops {
		ops[i].Changes = AnyRows
	}
	return ops
}

// numbers is a set of at most one integer, from its text.
func numbers(text string) []int {
	if n, err := strconv.Atoi(text); err == nil {
		return []int{n}
	}
	return []int{}
}
