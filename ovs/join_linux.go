package ovs

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// maxTries bounds how often a transaction is retried because others changed
// the bridge in the middle.
const maxTries = 10

// join makes the host's end a port of the bridge, and waits until ovs-vswitchd has
// taken it in.
func (b Bridge) join(ctx context.Context, s *Client, p *link.Port, u *link.Undo) error {
	j := newJoining(b, p)
	back := b.Client.leaver()
	if p.Pin != nil { // nothing passes until the flows are there
		if err := setDown(ctx, p); err != nil {
			return err
		}
	}
	u.Push("port "+p.HostName, func(ctx context.Context) error { return back.leave(ctx, j) })
	joinAll(ctx, s, []*joining{j})
	return j.err
}

// joinAll joins ports to their bridges in one transaction, and fills in the err of
// those that failed. It takes for granted that the bridges are there and the names
// free, and looks only when that was wrong. A transaction fails as a whole: what
// cannot join is left out of the next one, and where it cannot be told which that
// is, each half has one of its own.
func joinAll(ctx context.Context, s *Client, all []*joining) {
	for try := 1; len(all) > 0; try++ {
		number, bridges, err := commit(ctx, s, all)
		if err == nil {
			settle(ctx, all, bridges)
			applied(ctx, s, willing(all), number)
			pinAll(ctx, s, willing(all))
			ignoreRouters(ctx, willing(all))
			setUp(ctx, willing(all))
			return
		}
		if half := len(all) / 2; try > 2 && half > 0 {
			joinAll(ctx, s, all[:half])
			joinAll(ctx, s, all[half:])
			return
		}
		if try < maxTries && (ovsdb.Refused(err, ovsdb.TimedOut) || ovsdb.Refused(err, ovsdb.Constraint)) {
			err = look(ctx, s, all)
		}
		if err != nil {
			fail(all, err)
		}
		all = willing(all)
	}
}

// setUp sets the ports up again: when ovs-vswitchd closes a device that is gone, it
// restores that one's flags by its name (netdev_restore_flags in lib/netdev.c), which a
// new device may have by then.
func setUp(ctx context.Context, all []*joining) {
	for _, j := range all {
		j.err = rtnl.SetLink(ctx, j.at.Host.Conn, j.at.HostName, "")
	}
}

// ignoreRouters keeps the host from believing what guests say about addresses and
// routes, by the devices of the bridges that were created: those are still down.
func ignoreRouters(ctx context.Context, all []*joining) {
	for _, j := range all {
		if !j.creates {
			continue
		}
		j.err = j.at.Host.Do(ctx, func() error { return rtnl.IgnoreRouters(ctx, j.Name) })
		if errors.Is(j.err, fs.ErrPermission) {
			j.at.Warn("the host follows router advertisements that come in by %s: %v", j.Name, j.err)
			j.err = nil
		}
	}
}

func fail(all []*joining, err error) {
	for _, j := range all {
		j.err = err
	}
}

// willing are those that have not failed.
func willing(all []*joining) []*joining {
	return slices.DeleteFunc(slices.Clone(all), func(j *joining) bool { return j.err != nil })
}

// commit is the transaction. It returns the number of the configuration that has the
// ports, and the row of every bridge by its name.
func commit(ctx context.Context, s *Client, all []*joining) (number []int, bridges map[string]ovsdb.Record, err error) {
	var ops []ovsdb.Op
	for _, j := range all {
		ops = append(ops, j.operations()...)
	}
	next := ovsdb.Reconfigure()
	ops = append(ops, next[:]...)
	at := len(ops) - 1
	names := names(all)
	for _, name := range names {
		ops = append(ops, ovsdb.Select("Bridge", ovsdb.Has("name", name), bridgeColumns...))
	}
	got, err := s.transact(ctx, "add port", ops)
	if err != nil {
		return nil, nil, err
	}
	bridges = make(map[string]ovsdb.Record)
	for i, name := range names {
		bridges[name] = got[at+1+i].First()
	}
	return got[at].First().Numbers("next_cfg"), bridges, nil
}

// names are the names of the bridges, each once.
func names(all []*joining) (list []string) {
	for _, j := range all {
		if !slices.Contains(list, j.on.name) {
			list = append(list, j.on.name)
		}
	}
	return list
}

// settle prepares the guests for what their bridges are.
func settle(ctx context.Context, all []*joining, bridges map[string]ovsdb.Record) {
	for _, j := range all {
		row := bridges[j.on.name]
		j.setForwarding(j.at, hasTree(row))
		if orSystem(row.Text("datapath_type")) == Netdev {
			j.err = setOffload(ctx, j.at, off)
		}
	}
}

// look finds after a refusal what the ports have to fit in with: a bridge may have
// come or gone, or a port bear the name.
func look(ctx context.Context, s *Client, all []*joining) error {
	if err := lookAtNames(ctx, s, all); err != nil {
		return err
	}
	type place struct{ name, datapath string }
	seen := make(map[place]*joining)
	planned := make(map[string]bool) // bridges to be created, each by the first of its ports
	for _, j := range willing(all) {
		at := place{j.Name, j.Datapath}
		if first := seen[at]; first == nil {
			seen[at] = j
			j.creates, j.err = j.lookAtBridge(ctx, s)
		} else {
			j.on, j.creates, j.err = first.on, first.creates, first.err
		}
	}
	for _, j := range willing(all) {
		j.Bridge, j.err = j.asked.fits(j.on)
	}
	for _, j := range willing(all) {
		j.creates, planned[j.Name] = j.creates && !planned[j.Name], planned[j.Name] || j.creates
	}
	return nil
}

// lookAtBridge finds the bridge, and says whether it has to be created.
func (j *joining) lookAtBridge(ctx context.Context, s *Client) (missing bool, err error) {
	br, err := j.find(ctx, s)
	if err != nil {
		return false, err
	}
	j.on = br
	if !br.missing {
		return false, nil
	}
	return true, j.free(ctx, j.at)
}

// lookAtNames finds who has the ports' names.
func lookAtNames(ctx context.Context, s *Client, all []*joining) error {
	var ops []ovsdb.Op
	for _, j := range all {
		ops = append(ops,
			ovsdb.Select("Port", ovsdb.Has("name", j.at.HostName), "_uuid", "external_ids"),
			ovsdb.Select("Interface", ovsdb.Has("name", j.at.HostName), "_uuid"))
	}
	got, err := s.transact(ctx, "find ports", ops)
	if err != nil {
		return err
	}
	foreign := func(r ovsdb.Record) bool { return r.Texts("external_ids")[keyMade] != madePort }
	for i, j := range all {
		ports, ifaces := got[2*i], got[2*i+1]
		if slices.ContainsFunc(ports, foreign) || len(ports) == 0 && len(ifaces) > 0 {
			j.err = nameTaken(j.at)
		}
		// The device is ours and new, so that a row of ours by its name is a relic.
		j.stale = ports
	}
	return nil
}

func nameTaken(p *link.Port) error {
	return errs.New(fs.ErrInvalid, "Open vSwitch has a port %s already, which pipework did not make: remove it with `ovs-vsctl del-port %s`, or choose another name for the host's end", p.HostName, p.HostName)
}
