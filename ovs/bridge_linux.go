package ovs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Plug makes the veth pair, and the host's end a port of the bridge; see
// [link.Backend]. It returns when ovs-vswitchd has taken the port in, by the end
// of ctx, or within ten seconds where that has none.
func (b Bridge) Plug(ctx context.Context, p *link.Port, u *link.Undo) error {
	s, end := b.Client.session()
	defer end()
	if err := b.plugVeth(ctx, s, p, u); err != nil {
		return err
	}
	return b.join(ctx, s, p, u)
}

// plugVeth makes the pair, once it is sure that there is a server to speak to.
func (b Bridge) plugVeth(ctx context.Context, s *Client, p *link.Port, u *link.Undo) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := takeMTU(ctx, p, b.Name); err != nil {
		return err
	}
	p.HostName = b.HostName
	if p.Pin != nil {
		return link.PlugVethDown(ctx, p, u)
	}
	return link.PlugVeth(ctx, p, u, 0)
}

// takeMTU takes the MTU of the bridge's own device, where that is in the host's
// namespace, unless the Spec has one.
func takeMTU(ctx context.Context, p *link.Port, bridge string) error {
	if p.MTU != 0 {
		return nil
	}
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, bridge)
	if err == nil {
		p.MTU = l.MTU
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// A bridge is what matters of one's row.
type bridge struct {
	name     string // of the row; of a fake bridge, its parent's
	datapath string
	missing  bool       // it is to be created
	tree     bool       // it has a spanning tree
	fake     ovsdb.UUID // the port that makes the fake bridge
	vlan     int        // of a fake bridge; 0: it is none
}

// find reads the bridge's row, or plans one where its name says that it may be
// created.
func (b Bridge) find(ctx context.Context, s *Client) (*bridge, error) {
	got, err := s.transact(ctx, "find bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Has("name", b.Name), bridgeColumns...),
	})
	if err != nil {
		return nil, err
	}
	row := got[0].First()
	br := &bridge{name: b.Name, datapath: orSystem(row.Text("datapath_type")), tree: hasTree(row)}
	if len(got[0]) == 0 {
		br, err = s.findFake(ctx, b.Name)
	}
	switch {
	case err != nil:
		return nil, err
	case br == nil && creatable(b.Name):
		return &bridge{name: b.Name, datapath: orSystem(b.Datapath), missing: true}, nil
	case br == nil:
		return nil, errs.New(fs.ErrNotExist, "Open vSwitch has no bridge %s: create it with `ovs-vsctl add-br %s`, or choose a name that begins with ovs", b.Name, b.Name)
	}
	if want := b.Datapath; want != "" && want != br.datapath {
		return nil, errs.New(fs.ErrInvalid, "bridge %s has the datapath %s, not %s: leave Datapath empty to take it as it is", b.Name, br.datapath, want)
	}
	return br, nil
}

func orSystem(datapath string) string {
	if datapath == "" {
		return System
	}
	return datapath
}

// free says whether a bridge of this name can be created: there must be no other
// device of that name. Those of Open vSwitch may be on their way out.
func (b Bridge) free(ctx context.Context, p *link.Port) error {
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, b.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && l.Kind != "openvswitch" && l.Kind != "tun":
		return errs.New(fs.ErrInvalid, "the host has an interface %s already, which is no Open vSwitch bridge", b.Name)
	}
	return err
}

// Check finds the port, and compares it with what Plug would make; see
// [link.Backend].
func (b Bridge) Check(ctx context.Context, p *link.Port) ([]link.Drift, error) {
	s, end := b.Client.session()
	defer end()
	br, err := b.find(ctx, s)
	if err != nil {
		return nil, err
	}
	if b, err = b.fits(br); err != nil {
		return nil, err
	}
	drifts, err := link.CheckVeth(ctx, p)
	if err != nil {
		return nil, err
	}
	drifts = pinnedFirst(b, p, drifts)
	b.setForwarding(p, br.tree)
	more, err := b.portDrifts(ctx, s, p, br)
	if err != nil {
		return nil, err
	}
	drifts = append(drifts, more...)
	if br.datapath != Netdev {
		return drifts, nil
	}
	more, err = offloadDrifts(ctx, p)
	return append(drifts, more...), err
}

// Unplug removes the pair, the port, and the bridge when it was made by pipework
// and nothing else uses it; see [link.Backend]. Where the guest is gone, the
// port is found by what p.Mark.Guest knows of it; where that is nothing, every
// port of pipework's on the bridge goes whose guest called the interface so and
// is gone.
func (b Bridge) Unplug(ctx context.Context, p *link.Port) error {
	c := &link.Call{Backend: b, Port: p}
	unplugAll(ctx, []*link.Call{c})
	return c.Err
}

// Reap removes the port of a guest that has died, p.Mark.Guest, as soon as the host
// has no device of its name any more, and leaves the bridge; reaped says whether
// nothing is left of it. Until then frames for the guest's MAC go to a port without
// a device, for some time even if the guest is plugged in anew.
func (b Bridge) Reap(ctx context.Context, p *link.Port) (reaped bool, err error) {
	s, end := b.Client.session()
	defer end()
	got, err := s.transact(ctx, "find port", []ovsdb.Op{
		ovsdb.Select("Port", ovsdb.Includes("external_ids", b.wanted(p)), "_uuid", "name", "external_ids"),
	})
	if err != nil {
		return false, err
	}
	ports := got[0]
	gone, err := orphans(ctx, p.Host, ports)
	if err != nil {
		return false, err
	}
	return len(gone) == len(ports), s.removePorts(ctx, gone)
}

// wanted are external_ids of the port that p means.
func (b Bridge) wanted(p *link.Port) map[string]string {
	ids := map[string]string{keyMade: madePort, keyBridge: b.Name, keyInterface: p.Mark.Interface}
	guest := guestIDs(p.Mark.Guest)
	switch {
	case p.Guest != nil:
		ids[keyNetNS] = netnsID(p.Guest.Inode())
	case guest[keyNSPID] != "":
		ids[keyNSPID] = guest[keyNSPID]
	case guest[keyContainerName] != "":
		ids[keyContainerName] = guest[keyContainerName]
	}
	return ids
}

// delVeth removes the host's end of a pair, if it bears the mark: the pair of a
// guest whose processes are gone lives on where somebody holds its namespace.
func delVeth(ctx context.Context, p *link.Port, name string) error {
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if mark, ours := link.ParseMark(l.Alias); !ours || mark.Interface != p.Mark.Interface {
		return nil
	}
	return rtnl.DelLink(ctx, p.Host.Conn, name)
}

// removePorts takes rows out of their bridges, whichever those are, with which
// their interfaces go too, and before that their flows. What is gone already is no error.
func (c *Client) removePorts(ctx context.Context, ports ovsdb.Result) error {
	if len(ports) == 0 {
		return nil
	}
	if err := c.dropFlowsOf(ctx, ports); err != nil {
		return err
	}
	var ops []ovsdb.Op
	for _, port := range ports {
		ops = append(ops, removePort(port.Row("_uuid")))
	}
	next := ovsdb.Reconfigure()
	_, err := c.transact(ctx, "remove port", append(ops, next[:]...))
	return err
}

func removePort(id ovsdb.UUID) ovsdb.Op {
	op := ovsdb.Remove("Bridge", ovsdb.Includes("ports", id), "ports", id)
	op.Changes = ovsdb.AnyRows
	return op
}

// release removes the bridge if pipework made it and nobody uses it: no ports
// but its own, no addresses but those that the kernel made, nothing stacked on it.
func (b Bridge) release(ctx context.Context, s *Client, host link.Host) error {
	got, err := s.transact(ctx, "find bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Has("name", b.Name), "_uuid", "external_ids"),
	})
	if err != nil || got[0].First().Texts("external_ids")[keyMade] != madeBridge {
		return err
	}
	id := got[0].First().Row("_uuid")
	got, err = s.transact(ctx, "find bridge port", []ovsdb.Op{ovsdb.Select("Port", ovsdb.Has("name", b.Name), "_uuid")})
	if err != nil {
		return err
	}
	own := []ovsdb.UUID{}
	for _, port := range got[0] {
		own = append(own, port.Row("_uuid"))
	}
	unused := ovsdb.Guard("Bridge", ovsdb.IsRow(id), "ports", own)
	if _, err := s.transact(ctx, "look for other ports", []ovsdb.Op{unused}); err != nil {
		return unless(ovsdb.TimedOut, err)
	}
	used, err := deviceUsed(ctx, host, b.Name)
	if err != nil || used {
		return err
	}
	if _, err = s.transact(ctx, "remove bridge", removeBridge(id, unused)); err != nil {
		return unless(ovsdb.TimedOut, err)
	}
	untilGone(ctx, host, b.Name)
	return nil
}

// goneTime bounds the wait for ovs-vswitchd, which may not run.
const goneTime = 2 * time.Second

// untilGone waits until ovs-vswitchd has removed the bridge's device: before that, the name seems
// to be that of an interface which is no bridge. ovs-vsctl waits, too.
func untilGone(ctx context.Context, host link.Host, name string) {
	ctx, cancel := context.WithTimeout(ctx, goneTime)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if _, err := rtnl.LinkByName(ctx, host.Conn, name); err != nil || pause.For(ctx, wait) != nil {
			return
		}
	}
}

func removeBridge(id ovsdb.UUID, unused ovsdb.Op) []ovsdb.Op {
	op := ovsdb.Remove("Open_vSwitch", ovsdb.TheRow(), "bridges", id)
	next := ovsdb.Reconfigure()
	return append([]ovsdb.Op{unused, op}, next[:]...)
}

// unless forgets a refusal of this kind.
func unless(kind string, err error) error {
	if ovsdb.Refused(err, kind) {
		return nil
	}
	return err
}

// deviceUsed says whether the host itself uses the bridge's device.
func deviceUsed(ctx context.Context, host link.Host, name string) (bool, error) {
	l, err := rtnl.LinkByName(ctx, host.Conn, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	addrs, err := rtnl.Addrs(ctx, host.Conn, l.Index)
	if err != nil {
		return true, fmt.Errorf("read the addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		if !a.ByKernel() {
			return true, nil
		}
	}
	links, err := rtnl.Links(ctx, host.Conn)
	for _, other := range links {
		if other.Parent == l.Index && !other.Foreign {
			return true, err
		}
	}
	return false, err
}
