package uplink

import (
	"context"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// refused reads what Open vSwitch has of the bridge, and of the NIC.
func (b openvswitch) refused(ctx context.Context, nic, br *rtnl.Link) error {
	got, err := b.run(ctx, "look at bridge",
		ovsdb.Select("Bridge", ovsdb.Has("name", b.Bridge), "ports", "controller", "fail_mode", "stp_enable", "rstp_enable"),
		ovsdb.Select("Port", ovsdb.Has("name", b.Bridge), "tag", "trunks", "vlan_mode", "fake_bridge"),
		ovsdb.Select("Interface", ovsdb.Has("name", b.NIC), "_uuid"),
		ovsdb.Select("Interface", ovsdb.Has("type", "dpdk"), "_uuid", "name"),
		ovsdb.Select("Port", ovsdb.Includes("external_ids", map[string]string{ovsdb.MadeKey: ovsdb.MadeUplink}), "_uuid", "name"))
	if err != nil {
		return err
	}
	if iface := got[2].First(); iface != nil {
		return b.refusedPort(ctx, iface.Row("_uuid"))
	}
	local := got[1].First()
	if local.Bool("fake_bridge") {
		return errs.New(fs.ErrInvalid, "%s stands for one VLAN of another bridge: put %s under that one, which carries all", b.Bridge, b.NIC)
	}
	row := got[0].First()
	switch {
	case row == nil && br != nil:
		return errs.New(fs.ErrInvalid, "%s is an interface that is no bridge of Open vSwitch: choose another name", b.Bridge)
	case row == nil:
		return nil
	case br == nil:
		return errs.New(fs.ErrInvalid, "Open vSwitch has a bridge %s, but this host no interface of that name: is ovs-vswitchd running, and here?", b.Bridge)
	}
	if err := b.refusedRow(nic, br, row, local); err != nil {
		return err
	}
	ports := row.AllRows("ports")
	for _, uplink := range got[4] {
		if slices.Contains(ports, uplink.Row("_uuid")) {
			name := uplink.Text("name")
			return errs.New(fs.ErrExist, "%s is the uplink of %s already, of which %s has no record: ovs-vsctl del-port %s, or choose another bridge", b.Bridge, name, b.records(), name)
		}
	}
	for _, iface := range got[3] {
		at, err := b.run(ctx, "look at port", ovsdb.Select("Port", ovsdb.Includes("interfaces", iface.Row("_uuid")), "_uuid"))
		if err != nil {
			return err
		}
		if slices.Contains(ports, at[0].First().Row("_uuid")) {
			return errs.New(fs.ErrInvalid, "%s has %s by DPDK, for which ovs-vswitchd takes NICs from the kernel: %s would be a port that it has to poll: choose another bridge", b.Bridge, iface.Text("name"), b.NIC)
		}
	}
	return refuser(b).refusedAddrs(ctx, br)
}

// refusedPort refuses a NIC that Open vSwitch has already, as this interface.
func (b openvswitch) refusedPort(ctx context.Context, iface ovsdb.UUID) error {
	got, err := b.run(ctx, "look at port", ovsdb.Select("Port", ovsdb.Includes("interfaces", iface), "name", "interfaces"))
	if err != nil {
		return err
	}
	port := got[0].First()
	if name := port.Text("name"); len(port.AllRows("interfaces")) > 1 {
		return errs.New(fs.ErrInvalid, "%s is part of the bond %s of Open vSwitch, whose bridge the host has to use: ovs-vsctl del-bond-iface %s %s, or del-port %s", b.NIC, name, name, b.NIC, name)
	}
	return errs.New(fs.ErrInvalid, "%s is a port of Open vSwitch: ovs-vsctl del-port %s", b.NIC, b.NIC)
}

// refusedRow refuses a bridge for its settings.
func (b openvswitch) refusedRow(nic, br *rtnl.Link, row, local ovsdb.Record) error {
	tagged := len(local.Numbers("tag"))+len(local.Numbers("trunks"))+len(local.Strings("vlan_mode")) > 0
	switch {
	case len(row.AllRows("controller")) > 0:
		return errs.New(fs.ErrInvalid, "%s has a controller, which decides what the host receives: ovs-vsctl del-controller %s, or choose another bridge", br.Name, br.Name)
	case row.Text("fail_mode") == "secure":
		return errs.New(fs.ErrInvalid, "%s passes nothing but what flows say (fail_mode secure): ovs-vsctl del-fail-mode %s, or choose another bridge", br.Name, br.Name)
	case row.Bool("stp_enable"), row.Bool("rstp_enable"):
		return errs.New(fs.ErrInvalid, "%s takes part in a spanning tree, which keeps frames from a new port for half a minute: ovs-vsctl set bridge %s stp_enable=false rstp_enable=false", br.Name, br.Name)
	case tagged:
		return errs.New(fs.ErrInvalid, "the host is in a VLAN of %s, and the NIC's network is none: ovs-vsctl clear port %s tag trunks vlan_mode", br.Name, br.Name)
	case br.MTU != nic.MTU:
		return errs.New(fs.ErrInvalid, "%s has an MTU of %d, and %s one of %d: ovs-vsctl set interface %s mtu_request=%d", br.Name, br.MTU, nic.Name, nic.MTU, br.Name, nic.MTU)
	}
	return nil
}
