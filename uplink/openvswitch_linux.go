package uplink

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// openvswitch are bridges of Open vSwitch. The host's part of one is its local port, an interface
// of the bridge's name. The bridge comes first, and the NIC's port by a transaction of its own once
// that interface can take the host's frames: so connections stand still for the shortest time.
type openvswitch struct{ *job }

// rows are what a record has of a bridge of Open vSwitch: of rows that are made the names are
// known before.
type rows struct {
	Bridge ovsdb.UUID    `json:"bridge"`
	Local  ovsdb.UUID    `json:"local"` // the bridge's own port
	Port   ovsdb.UUID    `json:"port"`  // the NIC's
	Was    ovsdb.Adopted `json:"was"`   // of a bridge that was there
	// Userspace says that ovs-vswitchd itself forwards (datapath_type netdev), Sign the DSCP
	// that it writes into what routers say by the NIC.
	Userspace bool  `json:"userspace,omitempty"`
	Sign      uint8 `json:"sign,omitempty"`
	Promisc   bool  `json:"promisc,omitempty"` // of the NIC
	Device    int   `json:"device,omitempty"`  // index of the interface that has the host's addresses
}

// run runs a transaction, which what names.
func (b openvswitch) run(ctx context.Context, what string, ops ...ovsdb.Op) ([]ovsdb.Result, error) {
	got, err := ovsdb.Run(ctx, b.OVS, what, ops)
	if err != nil && !errors.As(err, new(*ovsdb.Refusal)) {
		err = fmt.Errorf("open vSwitch: %w", err)
	}
	return got, err
}

func (b openvswitch) find(ctx context.Context) (*rtnl.Link, error) {
	br, err := rtnl.LinkByName(ctx, b.host.Conn, b.Bridge)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case br.Kind != "openvswitch" && br.Kind != "tun": // with the kernel's datapath, and in userspace
		return nil, errs.New(fs.ErrInvalid, "%s is no bridge of Open vSwitch: choose another name", b.Bridge)
	}
	return br, nil
}

func (b openvswitch) ready(ctx context.Context) error {
	_, err := b.run(ctx, "look at switch", ovsdb.Select("Open_vSwitch", ovsdb.TheRow(), "next_cfg"))
	return err
}

func (b openvswitch) note(ctx context.Context, r *record) error {
	got, err := b.run(ctx, "note bridge",
		ovsdb.Select("Bridge", ovsdb.Has("name", b.Bridge), "_uuid", "datapath_type", "other_config"),
		ovsdb.Select("Port", ovsdb.Has("name", b.Bridge), "_uuid"),
		ovsdb.Select("Interface", ovsdb.Has("name", b.Bridge), "mtu_request"))
	if err != nil {
		return err
	}
	nic, err := rtnl.LinkByIndex(ctx, b.host.Conn, r.Index)
	if err != nil {
		return err
	}
	r.OVS = &rows{Bridge: ovsdb.NewUUID(), Local: ovsdb.NewUUID(), Port: ovsdb.NewUUID(), Sign: newSign(), Promisc: nic.Promisc}
	if row := got[0].First(); row != nil {
		r.OVS.Bridge, r.OVS.Local = row.Row("_uuid"), got[1].First().Row("_uuid")
		r.OVS.Userspace = row.Text("datapath_type") == netdev
		r.OVS.Was.HWAddr = row.Texts("other_config")["hwaddr"]
		for _, mtu := range got[2].First().Numbers("mtu_request") {
			r.OVS.Was.MTU = fmt.Sprint(mtu)
		}
		return nil
	}
	r.OVS.Userspace, err = b.onlyUserspace(ctx)
	return err
}

// netdev is the datapath_type of a bridge that ovs-vswitchd itself forwards for.
const netdev = "netdev"

func (b openvswitch) create(ctx context.Context, r *record, nic *rtnl.Link) (*rtnl.Link, error) {
	iface := ovsdb.NewUUID()
	bridge := ovsdb.Columns{
		"name": b.Bridge, "ports": []ovsdb.UUID{r.OVS.Local}, "fail_mode": []string{"standalone"},
		"external_ids": map[string]string{ovsdb.MadeKey: ovsdb.MadeBridge}, "other_config": map[string]string{"hwaddr": nic.MAC.String()},
	}
	if r.OVS.Userspace {
		bridge["datapath_type"] = netdev
	}
	err := b.configured(ctx, "make bridge",
		ovsdb.Insert("Interface", iface, ovsdb.Columns{"name": b.Bridge, "type": "internal", "mtu_request": []int{nic.MTU}}),
		ovsdb.Insert("Port", r.OVS.Local, ovsdb.Columns{"name": b.Bridge, "interfaces": iface}),
		ovsdb.Insert("Bridge", r.OVS.Bridge, bridge),
		ovsdb.Add("Open_vSwitch", ovsdb.TheRow(), "bridges", r.OVS.Bridge))
	if err != nil {
		return nil, err
	}
	br, err := b.find(ctx)
	if br == nil && err == nil {
		err = errs.New(errors.ErrUnsupported, "ovs-vswitchd could not set bridge %s up: its log says why; the kernel's datapath needs `modprobe openvswitch`, that in userspace /dev/net/tun, and no other one in this network namespace", b.Bridge)
	}
	return br, err
}

func (b openvswitch) start(ctx context.Context, r *record, nic, br *rtnl.Link) error {
	if r.Was != nil {
		want := ovsdb.Adopted{HWAddr: nic.MAC.String(), MTU: fmt.Sprint(nic.MTU)}
		if err := b.configured(ctx, "give bridge the MAC", want.Ask(b.Bridge)...); err != nil {
			return err
		}
	}
	if err := b.awaitMAC(ctx, nic.MAC); err != nil {
		return err
	}
	r.OVS.Device = br.Index
	return rtnl.SetLink(ctx, b.host.Conn, b.Bridge, "")
}

// awaitMAC waits until the bridge's interface has the MAC.
func (b openvswitch) awaitMAC(ctx context.Context, mac net.HardwareAddr) error {
	for end := time.Now().Add(applyTime); ; {
		br, err := rtnl.LinkByName(ctx, b.host.Conn, b.Bridge)
		switch {
		case err != nil:
			return err
		case br.MAC.String() == mac.String():
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s has the MAC %s, and ovs-vswitchd does not give it %s", b.Bridge, br.MAC, mac)
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// enslave makes a port that Open vSwitch takes for one of this boot (ovs-ctl(8),
// delete-transient-ports), and carries all VLANs.
func (b openvswitch) enslave(ctx context.Context, r *record, nic, br *rtnl.Link) error {
	there, err := b.enslaved(ctx, r, nic, br)
	if err != nil {
		return err
	}
	if !there {
		iface, ids := ovsdb.NewUUID(), r.OVS.Was.IDs(r.Boot)
		err := b.configured(ctx, "add port",
			ovsdb.Guard("Bridge", ovsdb.IsRow(r.OVS.Bridge), "name", b.Bridge),
			ovsdb.Insert("Interface", iface, ovsdb.Columns{"name": b.NIC, "external_ids": ids}),
			ovsdb.Insert("Port", r.OVS.Port, ovsdb.Columns{
				"name": b.NIC, "interfaces": iface, "external_ids": ids, "other_config": map[string]string{"transient": "true"},
			}),
			ovsdb.Add("Bridge", ovsdb.IsRow(r.OVS.Bridge), "ports", r.OVS.Port))
		if err != nil {
			return err
		}
	}
	number, err := b.number(ctx)
	if err != nil || !r.OVS.Userspace {
		return err
	}
	if err := b.signRouters(ctx, r.OVS.Sign, number); err != nil {
		return err
	}
	return b.deafen(ctx, nic)
}

func (b openvswitch) refresh(ctx context.Context, r *record, nic, br *rtnl.Link) error {
	if !r.OVS.Userspace { // ovs-vswitchd has forgotten nothing that matters
		return nil
	}
	return b.enslave(ctx, r, nic, br)
}

// number is the NIC's as a port.
func (b openvswitch) number(ctx context.Context) (uint32, error) {
	got, err := b.run(ctx, "look at port", ovsdb.Select("Interface", ovsdb.Has("name", b.NIC), "ofport", "error"))
	if err != nil {
		return 0, err
	}
	row := got[0].First()
	if said := row.Text("error"); said != "" {
		return 0, errs.New(errors.ErrUnsupported, "ovs-vswitchd cannot use %s: %s", b.NIC, said)
	}
	if n := row.Numbers("ofport"); len(n) == 1 && n[0] > 0 {
		return uint32(n[0]), nil
	}
	return 0, errs.New(errors.ErrUnsupported, "ovs-vswitchd gives %s no number as a port of %s: its log says why", b.NIC, b.Bridge)
}

// enslaved asks the database: ovs-vswitchd may be about to start again.
func (b openvswitch) enslaved(ctx context.Context, r *record, _, _ *rtnl.Link) (bool, error) {
	got, err := b.run(ctx, "look for port", ovsdb.Select("Bridge", ovsdb.Includes("ports", r.OVS.Port), "name"))
	return err == nil && len(got[0]) > 0, err
}

// release leaves no doubt that the NIC is the kernel's again.
func (b openvswitch) release(ctx context.Context, r *record, nic, _ *rtnl.Link) error {
	if r.OVS.Userspace {
		if err := errs.Join(b.hear(ctx), b.unsignRouters(ctx, r)); err != nil {
			return err
		}
	}
	there, err := b.enslaved(ctx, r, nic, nil)
	b.late = b.late || b.dead(ctx)
	switch {
	case err != nil:
		return err
	case there:
		err = b.configured(ctx, "remove port", removePort(r.OVS.Port))
	default:
		err = b.settled(ctx)
	}
	if err != nil && !errors.Is(err, errNotApplied) {
		return err
	}
	now, failed := rtnl.LinkByIndex(ctx, b.host.Conn, nic.Index)
	switch {
	case failed != nil:
		return failed
	case now.Master != 0 && err == nil:
		return errs.New(fs.ErrInvalid, "%s is part of something else by now: ip -d link show %s", b.NIC, b.NIC)
	case now.Master != 0:
		if failed := b.delVport(ctx, now); failed != nil {
			return fmt.Errorf("%w (%w)", err, failed)
		}
		fallthrough
	case err != nil:
		b.warn("%v", err) // nor does it forward anything
	}
	if !now.Promisc || r.OVS.Promisc {
		return nil
	}
	return rtnl.ClearPromisc(ctx, b.host.Conn, nic.Index) // which ovs-vswitchd leaves so when it is killed
}

// dead says whether nobody listens where ovs-vswitchd does.
func (b openvswitch) dead(ctx context.Context) bool {
	conn, err := b.dial(fault.With(ctx, nil))
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// delVport takes the NIC from the kernel's datapath in the place of an ovs-vswitchd that does not:
// OVS_VPORT_CMD_DEL of linux/openvswitch.h.
func (b openvswitch) delVport(ctx context.Context, nic *rtnl.Link) error {
	const cmdDel, attrName, version = 2, 3, 1
	return b.do(ctx, func() error {
		if err := fault.Step(ctx, "remove port of datapath"); err != nil {
			return err
		}
		c, err := genetlink.Dial(nil)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		family, err := c.GetFamily("ovs_vport")
		if err != nil {
			return err
		}
		ae := netlink.NewAttributeEncoder()
		ae.String(attrName, nic.Name)
		attrs, err := ae.Encode()
		if err != nil {
			return err
		}
		header := binary.NativeEndian.AppendUint32(nil, uint32(nic.Master)) // of the datapath's device
		_, err = c.Execute(genetlink.Message{
			Header: genetlink.Header{Command: cmdDel, Version: version}, Data: append(header, attrs...),
		}, family.ID, netlink.Request|netlink.Acknowledge)
		return err
	})
}

func removePort(port ovsdb.UUID) ovsdb.Op {
	op := ovsdb.Remove("Bridge", ovsdb.Includes("ports", port), "ports", port)
	op.Changes = ovsdb.AnyRows
	return op
}

func (b openvswitch) reset(ctx context.Context, r *record, _ *rtnl.Link) error {
	return b.configured(ctx, "give bridge what it had", r.OVS.Was.Ask(b.Bridge)...)
}

func (b openvswitch) made(ctx context.Context, r *record, _ *rtnl.Link) (bool, error) {
	got, err := b.run(ctx, "look for bridge", ovsdb.Select("Bridge", ovsdb.IsRow(r.OVS.Bridge), "name"))
	if err != nil || len(got[0]) > 0 {
		return err == nil, err
	}
	if err := b.settled(ctx); !errors.Is(err, errNotApplied) { // ovs-vswitchd may be about to remove it
		return false, err
	}
	return false, nil
}

func (b openvswitch) used(ctx context.Context, r *record, br *rtnl.Link) (bool, error) {
	got, err := b.run(ctx, "look for other ports", ovsdb.Select("Bridge", ovsdb.IsRow(r.OVS.Bridge), "ports"))
	if err != nil || len(got[0].First().AllRows("ports")) > 1 {
		return true, err
	}
	if br == nil {
		return false, nil
	}
	return b.deviceUsed(ctx, br)
}

// leave has nothing to do: the bridge's row tells that pipework made it.
func (b openvswitch) leave(context.Context, *rtnl.Link) error { return nil }

func (b openvswitch) remove(ctx context.Context, r *record, _ *rtnl.Link) error {
	err := b.configured(ctx, "remove bridge",
		ovsdb.Guard("Bridge", ovsdb.IsRow(r.OVS.Bridge), "ports", []ovsdb.UUID{r.OVS.Local}),
		ovsdb.Remove("Open_vSwitch", ovsdb.TheRow(), "bridges", r.OVS.Bridge))
	switch {
	case ovsdb.Refused(err, ovsdb.TimedOut):
		return nil // somebody has begun to use it
	case errors.Is(err, errNotApplied):
		b.warn("%v", err)
		return nil
	case err != nil:
		return err
	}
	for end := time.Now().Add(applyTime); ; {
		if br, err := b.find(ctx); br == nil || err != nil || time.Now().After(end) {
			return err
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// forgotten has the database forget what a record of an earlier boot tells of, so that the NIC is
// not in the bridge any more.
func (b openvswitch) forgotten(ctx context.Context, r *record) error {
	ops := []ovsdb.Op{removePort(r.OVS.Port)}
	if r.Was != nil {
		ops = append(ops, r.OVS.Was.Ask(b.Bridge)...)
	}
	err := b.configured(ctx, "take out port of an earlier boot", ops...)
	if err == nil && r.Was == nil {
		err = b.remove(ctx, r, nil)
	}
	if errors.Is(err, errNotApplied) {
		return nil // ovs-vswitchd is still to start
	}
	return err
}
