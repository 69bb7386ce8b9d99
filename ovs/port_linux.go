package ovs

import (
	"io/fs"
	"maps"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// A joining is one port on its way into its bridge. The names of the rows are
// known beforehand, which makes it possible to take them back whatever happens.
type joining struct {
	Bridge
	asked       Bridge  // Bridge has the VLAN of a fake bridge beside that
	on          *bridge // what it names, as far as that was looked at
	at          *link.Port
	port, iface ovsdb.UUID
	bridge      ovsdb.UUID   // of one that is to be created
	local       ovsdb.UUID   // that one's own port
	creates     bool         // the bridge, too
	stale       ovsdb.Result // ports of ours that have the name and no device
	err         error
}

func newJoining(b Bridge, p *link.Port) *joining {
	return &joining{Bridge: b, asked: b, on: &bridge{name: b.Name}, at: p, port: ovsdb.NewUUID(), iface: ovsdb.NewUUID(), bridge: ovsdb.NewUUID(), local: ovsdb.NewUUID()}
}

// operations are those of a transaction that adds one port: guards, rows,
// membership.
func (j *joining) operations() []ovsdb.Op {
	var ops []ovsdb.Op
	for _, port := range j.stale {
		ops = append(ops, removePort(port.Row("_uuid")))
	}
	ids := j.externalIDs(j.at)
	port := j.portColumns()
	maps.Copy(port, ovsdb.Columns{"name": j.at.HostName, "interfaces": j.iface, "external_ids": ids})
	ops = append(ops,
		ovsdb.Insert("Interface", j.iface, ovsdb.Columns{"name": j.at.HostName, "external_ids": ids}),
		ovsdb.Insert("Port", j.port, port),
	)
	if j.creates {
		return append(ops, j.bridgeOperations()...)
	}
	return append(j.guards(), append(ops, j.member())...)
}

// guards make the transaction fail unless the bridge is there, with the datapath
// that is wanted, and a fake bridge is as it was seen.
func (j *joining) guards() []ovsdb.Op {
	row := ovsdb.Has("name", j.on.name)
	ops := []ovsdb.Op{ovsdb.Guard("Bridge", row, "name", j.on.name)}
	if j.on.vlan != 0 {
		ops = append(ops,
			ovsdb.Guard("Bridge", ovsdb.Includes("ports", j.on.fake), "name", j.on.name),
			ovsdb.Guard("Port", ovsdb.IsRow(j.on.fake), "tag", []int{j.on.vlan}))
	}
	switch j.Datapath {
	case Netdev:
		ops = append(ops, ovsdb.Guard("Bridge", row, "datapath_type", Netdev))
	case System: // which may be written ""
		ops = append(ops, ovsdb.Wait("Bridge", row, "datapath_type", Netdev, 0))
	}
	return ops
}

// member puts the port into a bridge that is there.
func (j *joining) member() ovsdb.Op {
	op := ovsdb.Add("Bridge", ovsdb.Has("name", j.on.name), "ports", j.port)
	op.Means = errs.New(fs.ErrNotExist, "bridge %s was removed meanwhile", j.on.name)
	return op
}

// portColumns are those that the Bridge's settings fill, all of them, so that
// an update resets what is not wanted.
func (b Bridge) portColumns() ovsdb.Columns {
	c := ovsdb.Columns{
		"tag": []int{}, "trunks": b.Trunks, "vlan_mode": []string{},
		"other_config": b.OtherConfig,
	}
	if b.Tag != 0 {
		c["tag"] = []int{b.Tag}
	}
	if b.Isolated { // a column of its own, which old versions lack
		c["protected"] = true
	}
	if b.VLANMode != "" {
		c["vlan_mode"] = []string{string(b.VLANMode)}
	}
	return c
}

// bridgeOperations create the bridge with its own port and the guest's.
func (j *joining) bridgeOperations() []ovsdb.Op {
	iface := ovsdb.NewUUID()
	return []ovsdb.Op{
		ovsdb.Insert("Interface", iface, ovsdb.Columns{"name": j.Name, "type": "internal"}),
		ovsdb.Insert("Port", j.local, ovsdb.Columns{"name": j.Name, "interfaces": iface}),
		ovsdb.Insert("Bridge", j.bridge, ovsdb.Columns{
			"name": j.Name, "ports": []ovsdb.UUID{j.local, j.port}, "datapath_type": j.Datapath,
			"external_ids": map[string]string{keyMade: madeBridge},
		}),
		ovsdb.Add("Open_vSwitch", ovsdb.TheRow(), "bridges", j.bridge),
	}
}
