package ovs

import (
	"io/fs"
	"maps"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// A joining is one port on its way into its bridge. The names of the rows are
// known beforehand, which makes it possible to take them back whatever happens.
type joining struct {
	Bridge
	asked       Bridge  // Bridge has the VLAN of a fake bridge beside that
	on          *bridge // what it names, as far as that was looked at
	at          *link.Port
	port, iface uuid
	bridge      uuid   // of one that is to be created
	local       uuid   // that one's own port
	creates     bool   // the bridge, too
	stale       result // ports of ours that have the name and no device
	err         error
}

func newJoining(b Bridge, p *link.Port) *joining {
	return &joining{Bridge: b, asked: b, on: &bridge{name: b.Name}, at: p, port: newUUID(), iface: newUUID(), bridge: newUUID(), local: newUUID()}
}

// operations are those of a transaction that adds one port: guards, rows,
// membership.
func (j *joining) operations() []operation {
	var ops []operation
	for _, port := range j.stale {
		ops = append(ops, removePort(port.row("_uuid")))
	}
	ids := j.externalIDs(j.at)
	port := j.portColumns()
	maps.Copy(port, columns{"name": j.at.HostName, "interfaces": j.iface, "external_ids": ids})
	ops = append(ops,
		insert("Interface", j.iface, columns{"name": j.at.HostName, "external_ids": ids}),
		insert("Port", j.port, port),
	)
	if j.creates {
		return append(ops, j.bridgeOperations()...)
	}
	return append(j.guards(), append(ops, j.member())...)
}

// guards make the transaction fail unless the bridge is there, with the datapath
// that is wanted, and a fake bridge is as it was seen.
func (j *joining) guards() []operation {
	row := has("name", j.on.name)
	ops := []operation{guard("Bridge", row, "name", j.on.name)}
	if j.on.vlan != 0 {
		ops = append(ops,
			guard("Bridge", includes("ports", j.on.fake), "name", j.on.name),
			guard("Port", isRow(j.on.fake), "tag", []int{j.on.vlan}))
	}
	switch j.Datapath {
	case Netdev:
		ops = append(ops, guard("Bridge", row, "datapath_type", Netdev))
	case System: // which may be written ""
		ops = append(ops, wait("Bridge", row, "datapath_type", Netdev, 0))
	}
	return ops
}

// member puts the port into a bridge that is there.
func (j *joining) member() operation {
	op := add("Bridge", has("name", j.on.name), "ports", j.port)
	op.refuse = errs.New(fs.ErrNotExist, "bridge %s was removed meanwhile", j.on.name)
	return op
}

// portColumns are those that the Bridge's settings fill, all of them, so that
// an update resets what is not wanted.
func (b Bridge) portColumns() columns {
	c := columns{
		"tag": []int{}, "trunks": b.Trunks, "vlan_mode": []string{},
		"other_config": b.OtherConfig,
	}
	if b.Tag != 0 {
		c["tag"] = []int{b.Tag}
	}
	if b.VLANMode != "" {
		c["vlan_mode"] = []string{string(b.VLANMode)}
	}
	return c
}

// bridgeOperations create the bridge with its own port and the guest's.
func (j *joining) bridgeOperations() []operation {
	iface := newUUID()
	return []operation{
		insert("Interface", iface, columns{"name": j.Name, "type": "internal"}),
		insert("Port", j.local, columns{"name": j.Name, "interfaces": iface}),
		insert("Bridge", j.bridge, columns{
			"name": j.Name, "ports": []uuid{j.local, j.port}, "datapath_type": j.Datapath,
			"external_ids": map[string]string{keyMade: madeBridge},
		}),
		add("Open_vSwitch", theRow(), "bridges", j.bridge),
	}
}
