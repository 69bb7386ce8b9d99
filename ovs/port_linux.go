package ovs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// maxTries bounds how often a transaction is tried anew because others changed
// the bridge in the middle.
const maxTries = 10

// A plan is one port that is going to be. The names of the rows are known
// beforehand, which makes it possible to take them back whatever happens.
type plan struct {
	port, iface uuid
	local       uuid   // the port of a bridge that is to be created
	bridge      bridge // as far as it is known
	stale       result // ports of ours that have the name and no device
	number      []int  // of the configuration that has the port
}

// join makes the host's end a port of the bridge, in one transaction, and waits
// until ovs-vswitchd has taken it in. It takes for granted that the bridge is
// there and the name free, and looks only when that was wrong.
func (b Bridge) join(ctx context.Context, s *Client, p *link.Port, u *link.Undo) error {
	plan := &plan{port: newUUID(), iface: newUUID(), local: newUUID()}
	u.Push("port "+p.HostName, func(ctx context.Context) error { return b.leave(ctx, p.Host, plan) })
	for try := 1; ; try++ {
		got, err := s.transact(ctx, "add port", b.portOperations(p, plan))
		if err == nil {
			if err := b.settle(ctx, p, got[len(got)-1].first()); err != nil {
				return err
			}
			plan.number = got[len(got)-2].first().numbers("next_cfg")
			return b.applied(ctx, s, p, plan)
		}
		if try == maxTries || !refused(err, timedOut) && !refused(err, constraint) {
			return err
		}
		if err := b.look(ctx, s, p, plan); err != nil {
			return err
		}
	}
}

// settle prepares the guest for the datapath that br has.
func (b Bridge) settle(ctx context.Context, p *link.Port, br record) error {
	if orSystem(br.text("datapath_type")) != Netdev {
		return nil
	}
	return setOffload(ctx, p, off)
}

// look finds after a refusal what the plan has to fit in with: the bridge may
// have come or gone, or a port bear the name.
func (b Bridge) look(ctx context.Context, s *Client, p *link.Port, plan *plan) error {
	br, err := b.find(ctx, s)
	if err != nil {
		return err
	}
	if br.missing {
		if err := b.free(ctx, p); err != nil {
			return err
		}
	}
	plan.bridge = *br
	got, err := s.transact(ctx, "find port", []operation{
		choose("Port", has("name", p.HostName), "_uuid", "external_ids"),
		choose("Interface", has("name", p.HostName), "_uuid"),
	})
	if err != nil {
		return err
	}
	foreign := func(r record) bool { return r.texts("external_ids")[keyMade] != madePort }
	if slices.ContainsFunc(got[0], foreign) || len(got[0]) == 0 && len(got[1]) > 0 {
		return nameTaken(p)
	}
	// The device is ours and new, so that a row of ours by its name is a relic.
	plan.stale = got[0]
	return nil
}

func nameTaken(p *link.Port) error {
	return errs.New(fs.ErrInvalid, "Open vSwitch has a port %s already, which pipework did not make: remove it with `ovs-vsctl del-port %s`, or choose another name for the host's end", p.HostName, p.HostName)
}

// portOperations are the transaction: guards, rows, membership.
func (b Bridge) portOperations(p *link.Port, plan *plan) []operation {
	var ops []operation
	for _, port := range plan.stale {
		ops = append(ops, removePort(port.row("_uuid")))
	}
	ids := b.externalIDs(p)
	port := b.portColumns()
	maps.Copy(port, columns{"name": p.HostName, "interfaces": plan.iface, "external_ids": ids})
	ops = append(ops,
		insert("Interface", plan.iface, columns{"name": p.HostName, "external_ids": ids}),
		insert("Port", plan.port, port),
	)
	if plan.bridge.missing {
		ops = append(ops, b.bridgeOperations(plan)...)
	} else {
		ops = append(b.guards(), append(ops, b.member(plan))...)
	}
	next := reconfigure()
	return append(append(ops, next[:]...), choose("Bridge", has("name", b.Name), "datapath_type"))
}

// guards make the transaction fail unless the bridge is there, with the datapath
// that is wanted.
func (b Bridge) guards() []operation {
	ops := []operation{guard("Bridge", has("name", b.Name), "name", b.Name)}
	switch b.Datapath {
	case Netdev:
		ops = append(ops, guard("Bridge", has("name", b.Name), "datapath_type", Netdev))
	case System: // which may be written ""
		ops = append(ops, wait("Bridge", has("name", b.Name), "datapath_type", Netdev, 0))
	}
	return ops
}

// member puts the port into a bridge that is there.
func (b Bridge) member(plan *plan) operation {
	op := add("Bridge", has("name", b.Name), "ports", plan.port)
	op.refuse = errs.New(fs.ErrNotExist, "bridge %s was removed meanwhile", b.Name)
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
func (b Bridge) bridgeOperations(plan *plan) []operation {
	iface := newUUID()
	return []operation{
		insert("Interface", iface, columns{"name": b.Name, "type": "internal"}),
		insert("Port", plan.local, columns{"name": b.Name, "interfaces": iface}),
		insert("Bridge", plan.bridge.id, columns{
			"name": b.Name, "ports": []uuid{plan.local, plan.port}, "datapath_type": b.Datapath,
			"external_ids": map[string]string{keyMade: madeBridge},
		}),
		add("Open_vSwitch", theRow(), "bridges", plan.bridge.id),
	}
}

// reverse is what takes everything away again: the port, and a bridge that was
// created for it and has no other.
func (plan *plan) reverse() [][]operation {
	next := reconfigure()
	all := [][]operation{append([]operation{removePort(plan.port)}, next[:]...)}
	if plan.bridge.missing {
		unused := guard("Bridge", isRow(plan.bridge.id), "ports", []uuid{plan.local})
		all = append(all, removeBridge(plan.bridge.id, unused))
	}
	return all
}

// undoTime bounds how long an undo waits for each answer, and tries again where
// the server has closed the connection: it may be starting anew. A server that
// is hung has been told by then.
const (
	undoTime  = time.Second
	undoPause = 20 * time.Millisecond
)

// leave is the undo of a join, whatever became of that. Each transaction goes by
// a connection of its own: a server that was hung carries out what came by the
// older connection first, and drops a connection that has been closed only after
// it took its first request.
func (b Bridge) leave(ctx context.Context, host link.Host, plan *plan) error {
	var failed []error
	for _, ops := range plan.reverse() {
		failed = append(failed, b.alone(ctx, func(ctx context.Context, s *Client) error {
			_, err := s.transact(ctx, "take back", ops)
			return unless(timedOut, err)
		}))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return b.alone(ctx, func(ctx context.Context, s *Client) error { return b.release(ctx, s, host) })
}

// alone calls f with a client that nobody shares, again while the connection
// fails, for a short time.
func (b Bridge) alone(ctx context.Context, f func(context.Context, *Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	s := new(Client)
	if b.Client != nil {
		s.Endpoint, s.TLS = b.Client.Endpoint, b.Client.TLS
	}
	defer func() { _ = s.Close() }()
	for {
		err := f(ctx, s)
		if err == nil || errors.As(err, new(*refusal)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(undoPause):
		}
	}
}

// applyTime bounds the wait for ovs-vswitchd where ctx does not.
const applyTime = 10 * time.Second

// firstSlice and lastSlice bound how long the server is asked to wait at once.
const (
	firstSlice = 250 * time.Millisecond
	lastSlice  = 2 * time.Second
)

// applied waits until ovs-vswitchd has given the interface its number. When it
// has read the plan's configuration and has not, it never will.
func (b Bridge) applied(ctx context.Context, s *Client, p *link.Port, plan *plan) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, applyTime, errNotApplied)
		defer cancel()
	}
	for slice := firstSlice; ; slice = min(2*slice, lastSlice) {
		until := wait("Interface", isRow(plan.iface), "ofport", []int{}, int(slice.Milliseconds()))
		got, err := s.transact(ctx, "wait for port", []operation{until, plan.read()})
		if err == nil {
			return portError(p, got[1])
		}
		if ctx.Err() != nil {
			return fmt.Errorf("port %s got no number from Open vSwitch (is ovs-vswitchd running?): %w", p.HostName, context.Cause(ctx))
		}
		if !refused(err, timedOut) {
			return err
		}
		if err := b.refusedByDaemon(ctx, s, p, plan); err != nil {
			return err
		}
	}
}

var errNotApplied = errs.New(context.DeadlineExceeded, "nothing within %v", applyTime)

// read asks what became of the interface.
func (plan *plan) read() operation {
	return choose("Interface", isRow(plan.iface), "ofport", "error")
}

// portError is what ovs-vswitchd has to say of an interface.
func portError(p *link.Port, rows result) error {
	if len(rows) == 0 {
		return fmt.Errorf("port %s was removed meanwhile", p.HostName)
	}
	said, number := rows[0].text("error"), rows[0].numbers("ofport")
	if said == "" && slices.Equal(number, []int{-1}) {
		said = "it has no number"
	}
	if said != "" {
		return fmt.Errorf("ovs-vswitchd cannot use port %s: %s", p.HostName, said)
	}
	return nil
}

// refusedByDaemon is nil while ovs-vswitchd may still come to it.
func (b Bridge) refusedByDaemon(ctx context.Context, s *Client, p *link.Port, plan *plan) error {
	got, err := s.transact(ctx, "look at port", []operation{
		plan.read(), choose("Open_vSwitch", theRow(), "cur_cfg"), choose("Bridge", has("name", b.Name), "datapath_type"),
	})
	if err != nil {
		return err
	}
	if len(got[0]) == 0 || len(got[0][0].numbers("ofport")) > 0 {
		return portError(p, got[0])
	}
	if len(plan.number) == 0 || slices.Compare(got[1].first().numbers("cur_cfg"), plan.number) < 0 {
		return nil
	}
	return b.noDatapath(orSystem(got[2].first().text("datapath_type")))
}

// noDatapath explains why ovs-vswitchd has read the configuration and has made
// nothing of the bridge; it tells only its log.
func (b Bridge) noDatapath(datapath string) error {
	if datapath == Netdev {
		return fmt.Errorf("ovs-vswitchd could not set bridge %s up: it needs /dev/net/tun, and only one userspace datapath fits into a network namespace; its log says more", b.Name)
	}
	if _, err := os.Stat("/sys/module/openvswitch"); errors.Is(err, fs.ErrNotExist) {
		return errs.New(errors.ErrUnsupported, "this kernel has no Open vSwitch datapath, which bridge %s needs: load it with `modprobe openvswitch`, or set Datapath to %s", b.Name, Netdev)
	}
	return fmt.Errorf("ovs-vswitchd could not set bridge %s up: its log says why", b.Name)
}
