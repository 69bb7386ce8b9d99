package ovs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/openflow"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// A pinnedPort is a port of ours, its bridge, and the flows there that are the port's.
type pinnedPort struct {
	client *Client
	name   string
	id     ovsdb.UUID
	number uint32
	bridge string
	cannot error  // why what comes in by the port cannot be pinned
	told   string // the bridge in which the row says that flows are; "": none
	flows  []openflow.Flow
}

var _ link.Filter = (*pinnedPort)(nil)

// Filter reads the flows of the port p.HostName; see [link.Filterer].
func (b Bridge) Filter(ctx context.Context, p *link.Port) (link.Filter, error) {
	s, end := b.Client.session()
	defer end()
	f, err := readPort(ctx, b, s, p.HostName)
	if err != nil {
		return nil, err
	}
	if f.told != "" {
		f.flows, err = s.flows(ctx, f.told, cookie(f.id), oneCookie)
	}
	return f, err
}

// readPort reads the port of this name.
func readPort(ctx context.Context, b Bridge, s *Client, name string) (*pinnedPort, error) {
	got, err := s.transact(ctx, "read port", append([]ovsdb.Op{
		ovsdb.Select("Port", ovsdb.Has("name", name), "_uuid", "external_ids"),
		ovsdb.Select("Interface", ovsdb.Has("name", name), "ofport"),
	}, besideBridge()...))
	if err != nil {
		return nil, err
	}
	row := got[0].First()
	if len(got[0]) == 0 || row.Texts("external_ids")[keyMade] != madePort {
		return nil, errs.New(fs.ErrNotExist, "Open vSwitch has no port %s of pipework's", name)
	}
	f := &pinnedPort{client: b.Client, name: name, id: row.Row("_uuid"), told: row.Texts("external_ids")[keyPin]}
	number := got[1].First().Numbers("ofport")
	if len(number) == 0 { // whoever made the port did not live to wait
		if number, err = s.awaitNumber(ctx, name); err != nil {
			return nil, err
		}
	}
	if len(number) == 1 && number[0] > 0 {
		f.number = uint32(number[0])
	}
	bridges, err := s.transact(ctx, "read bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Includes("ports", f.id), pinColumns...),
	})
	if err != nil {
		return nil, err
	}
	f.bridge = bridges[0].First().Text("name")
	f.cannot = cannotPin(b, bridges[0].First(), got[2:])
	if f.number == 0 {
		f.cannot = fmt.Errorf("port %s has no number from ovs-vswitchd", name)
	}
	return f, nil
}

// awaitNumber waits some time for ovs-vswitchd to give the port its number; none: it does not.
func (c *Client) awaitNumber(ctx context.Context, name string) ([]int, error) {
	row := ovsdb.Has("name", name)
	got, err := c.transact(ctx, "wait for port", []ovsdb.Op{
		ovsdb.Wait("Interface", row, "ofport", []int{}, int(lastSlice.Milliseconds())),
		ovsdb.Select("Interface", row, "ofport"),
	})
	if err != nil {
		return nil, unless(ovsdb.TimedOut, err)
	}
	return got[1].First().Numbers("ofport"), nil
}

// pinColumns are those of a bridge that cannotPin reads.
var pinColumns = []string{"name", "controller", "stp_enable", "rstp_enable", "other_config"}

// besideBridge reads what else cannotPin needs.
func besideBridge() []ovsdb.Op {
	return []ovsdb.Op{
		ovsdb.Select("Open_vSwitch", ovsdb.TheRow(), "other_config"),
		ovsdb.Select("Manager", []libovsdb.Condition{libovsdb.NewCondition("target", libovsdb.ConditionNotEqual, "")}, "target", "connection_mode"),
	}
}

// cannotPin says why flows do not decide what comes in by the ports of a bridge with this row.
func cannotPin(b Bridge, row ovsdb.Record, beside []ovsdb.Result) error {
	name := row.Text("name")
	tags, _ := b.PinnedTags()
	vlanLimit := beside[0].First().Texts("other_config")["vlan-limit"]
	var why string
	switch {
	case row.Row("controller") != (ovsdb.UUID{}):
		why = "has a controller, which may replace flows: take it away (`ovs-vsctl del-controller " + name + "`)"
	case hasTree(row):
		why = "has a spanning tree, which hears what guests say of it before any flow decides: switch stp_enable and rstp_enable off"
	case slices.ContainsFunc(beside[1], isInBand) && row.Texts("other_config")["disable-in-band"] != "true":
		why = "has flows for the database's managers, which come before all others and let ARP pass: `ovs-vsctl set bridge " + name + " other_config:disable-in-band=true`"
	case vlanLimit != "" && vlanLimit != "1" && len(tags) > 0:
		why = "looks below a frame's first tag (other_config:vlan-limit=" + vlanLimit + "): set it to 1, or ask for no trunks"
	default:
		return nil
	}
	return errs.New(errors.ErrUnsupported, "pin: bridge %s %s; or plug the guest into another bridge", name, why)
}

// isInBand says whether ovsdb-server connects to the manager by what may be a bridge's ports.
// ovs-vswitchd gives each bridge flows for such (ovs-vswitchd.conf.db(5), "connection_mode"),
// which have priorities above those that OpenFlow has.
func isInBand(manager ovsdb.Record) bool {
	target := manager.Text("target")
	return (strings.HasPrefix(target, "tcp:") || strings.HasPrefix(target, "ssl:")) && !slices.Contains(manager.Strings("connection_mode"), "out-of-band")
}

// On says whether the port's row tells of flows.
func (f *pinnedPort) On() bool { return f.told != "" }

// Is says whether the flows are those of the Pin.
func (f *pinnedPort) Is(p link.Pin) bool {
	return f.cannot == nil && f.told == f.bridge && slices.Equal(keys(f.flows), keys(pinFlows(p, f.id, f.number)))
}

// keys are the same for the same flows.
func keys(flows []openflow.Flow) (list []string) {
	for _, f := range flows {
		list = append(list, f.Key())
	}
	slices.Sort(list)
	return list
}

// Set has the flows be those of the Pin, in one step. That there are some is in the row before,
// and as long as there are, so that whoever removes the port knows.
func (f *pinnedPort) Set(ctx context.Context, p *link.Pin) error {
	if p == nil {
		return f.change(ctx, nil)
	}
	if f.cannot != nil {
		return f.cannot
	}
	return f.change(ctx, pinFlows(*p, f.id, f.number))
}

// Restore has the flows be as they were read.
func (f *pinnedPort) Restore(ctx context.Context) error {
	if f.told == "" {
		return f.change(ctx, nil)
	}
	return f.change(ctx, f.flows)
}

// change replaces the flows.
func (f *pinnedPort) change(ctx context.Context, flows []openflow.Flow) error {
	s, end := f.client.session()
	defer end()
	if f.told != f.bridge {
		if err := s.dropFlows(ctx, f.told, f.id); err != nil {
			return err
		}
	}
	if flows == nil {
		if err := s.dropFlows(ctx, f.bridge, f.id); err != nil {
			return err
		}
		return s.tell(ctx, f.id, "")
	}
	if f.told != f.bridge {
		if err := s.tell(ctx, f.id, f.bridge); err != nil {
			return err
		}
	}
	mods := []openflow.Mod{
		openflow.Delete(cookie(f.id), oneCookie),
		openflow.Delete(ourCookies, ourCookiesMask, openflow.InPort(f.number)), // of a port that had the number before
	}
	for _, flow := range flows {
		mods = append(mods, openflow.Add(flow))
	}
	c, err := s.openFlow(ctx, f.bridge)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.Change(ctx, mods); err != nil {
		return fmt.Errorf("flows of port %s: %w", f.name, err)
	}
	return nil
}

// tell has the port's row say in which bridge it has flows; "": none.
func (c *Client) tell(ctx context.Context, port ovsdb.UUID, bridge string) error {
	const column = "external_ids"
	ops := []ovsdb.Op{ovsdb.Mutate("Port", ovsdb.IsRow(port), column, libovsdb.MutateOperationDelete, [2]any{"set", []string{keyPin}})}
	if bridge != "" {
		ops = append(ops, ovsdb.Mutate("Port", ovsdb.IsRow(port), column, libovsdb.MutateOperationInsert, [2]any{"map", [][2]string{{keyPin, bridge}}}))
	}
	_, err := c.transact(ctx, "change port", ops)
	return err
}

// openFlow connects to ovs-vswitchd for a bridge.
func (c *Client) openFlow(ctx context.Context, bridge string) (*openflow.Conn, error) {
	path, err := c.management(bridge)
	if err != nil {
		return nil, err
	}
	conn, err := openflow.Dial(ctx, path)
	var refused *openflow.Refusal
	if errors.As(err, &refused) && refused.Version() {
		return nil, errs.New(errors.ErrUnsupported, "pin: bridge %s does not speak OpenFlow 1.4: `ovs-vsctl add bridge %s protocols OpenFlow14`", bridge, bridge)
	}
	return conn, err
}

// unlessNoSwitch is err, or nil where it says that nobody speaks for the bridge: then it is
// gone, or ovs-vswitchd is, and its flows, too.
func unlessNoSwitch(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// flows reads those in a bridge with such cookies; none where there is no bridge.
func (c *Client) flows(ctx context.Context, bridge string, cookie, mask uint64) ([]openflow.Flow, error) {
	conn, err := c.openFlow(ctx, bridge)
	if err != nil {
		return nil, unlessNoSwitch(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.Flows(ctx, cookie, mask)
}

// dropFlows deletes the flows of ports in a bridge.
func (c *Client) dropFlows(ctx context.Context, bridge string, ports ...ovsdb.UUID) error {
	var mods []openflow.Mod
	for _, port := range ports {
		mods = append(mods, openflow.Delete(cookie(port), oneCookie))
	}
	return c.deleteFlows(ctx, bridge, mods)
}

func (c *Client) deleteFlows(ctx context.Context, bridge string, mods []openflow.Mod) error {
	if bridge == "" || len(mods) == 0 {
		return nil
	}
	conn, err := c.openFlow(ctx, bridge)
	if err != nil {
		return unlessNoSwitch(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Change(ctx, mods); err != nil {
		return fmt.Errorf("delete flows in bridge %s: %w", bridge, err)
	}
	return nil
}

// dropFlowsOf deletes the flows of ports that are about to be removed. A bridge that does not
// speak our version any more keeps them, and nobody's port from being removed: they decide on
// frames of a number that no port has.
func (c *Client) dropFlowsOf(ctx context.Context, ports ovsdb.Result) error {
	in := make(map[string][]ovsdb.UUID)
	for _, port := range ports {
		if bridge := port.Texts("external_ids")[keyPin]; bridge != "" {
			in[bridge] = append(in[bridge], port.Row("_uuid"))
		}
	}
	for bridge, ports := range in {
		if err := c.dropFlows(ctx, bridge, ports...); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// pinAll has only that come in by ports which may, before they are up. What relics had goes.
func pinAll(ctx context.Context, s *Client, all []*joining) {
	for _, j := range all {
		j.err = s.dropFlowsOf(ctx, j.stale)
		if j.err == nil && j.at.Pin != nil {
			j.err = pinPort(ctx, j.Bridge, s, j.at)
		}
	}
}

// pinPort sets the flows of the port p.HostName: of the MAC and the leases that its mark tells.
func pinPort(ctx context.Context, b Bridge, s *Client, p *link.Port) error {
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return err
	}
	f, err := readPort(ctx, b, s, p.HostName)
	if err != nil {
		return err
	}
	mark, _ := link.ParseMark(host.Alias)
	if pin, noted := p.Pin.Noted(mark); noted {
		return f.Set(ctx, &pin)
	}
	return f.Set(ctx, p.Pin)
}

// unpinTime bounds how long an undo waits for ovs-vswitchd. What it does not delete, Collect does.
const unpinTime = 6 * time.Second

// unpin deletes the flows of a port that is about to be taken back. Nothing passes by it any
// more: it is set down.
func (j *joining) unpin(ctx context.Context) error {
	if j.at.Pin == nil {
		return nil
	}
	down := setDown(ctx, j.at)
	ctx, cancel := context.WithTimeout(ctx, unpinTime)
	defer cancel()
	for {
		err := j.Client.dropFlows(ctx, j.on.name, j.port)
		if errors.Is(err, errors.ErrUnsupported) { // nor were there any
			err = nil
		}
		if err == nil || pause.For(ctx, undoPause) != nil {
			return errs.Join(down, err)
		}
	}
}

// setDown sets the host's end down, if it is there.
func setDown(ctx context.Context, p *link.Port) error {
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !host.Up {
		return nil
	}
	if err != nil {
		return err
	}
	return rtnl.SetDown(ctx, p.Host.Conn, host.Index)
}

// pinnedFirst has the flows be there before what Mend does, which may set the host's end up.
func pinnedFirst(b Bridge, p *link.Port, drifts []link.Drift) []link.Drift {
	if p.Pin == nil {
		return drifts
	}
	for i, d := range drifts {
		if d.Mend == nil {
			continue
		}
		drifts[i].Mend = func(ctx context.Context, u *link.Undo) error {
			s, end := b.Client.session()
			defer end()
			if err := pinPort(ctx, b, s, p); err != nil && !errors.Is(err, fs.ErrNotExist) { // there is no port, by which nothing passes
				return err
			}
			return d.Mend(ctx, u)
		}
	}
	return drifts
}
