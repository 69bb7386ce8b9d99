package uplink

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

func (p Plan) move(ctx context.Context) (*Moved, error) {
	if p.DryRun {
		return p.planMove(ctx)
	}
	j, end, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	old, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	if old != nil {
		there, err := j.existed(ctx, old)
		if there && err == nil {
			err = j.refresh(ctx, old)
		}
		if there || err != nil {
			return j.moved, err
		}
		if err := j.restore(ctx, old); err != nil {
			return nil, fmt.Errorf("undo what an earlier call has left: %w", err)
		}
	}
	return j.put(ctx)
}

// put puts the NIC under the bridge, or leaves everything as it is.
func (j *job) put(ctx context.Context) (*Moved, error) {
	j.late = false
	nic, br, err := refuser{j}.look(ctx)
	if err != nil {
		return nil, err
	}
	if j.DHCP && j.taken == nil {
		if j.taken, err = (leaser{j}).takeLease(ctx, nic); err != nil {
			return nil, err
		}
	}
	r, err := j.record(ctx, nic, br)
	if err != nil {
		return nil, err
	}
	r.Taken = j.taken
	if err := j.under(ctx, r, nic); err != nil {
		if fault.Killed(ctx) {
			return nil, err
		}
		late, cancel := context.WithTimeout(fault.Off(ctx), undoTime)
		defer cancel()
		if failed := j.restore(late, r); failed != nil {
			err = errs.Join(err, fmt.Errorf("undo it: %w: pipework uplink --undo %s %s tries again", failed, j.Bridge, j.NIC))
		}
		return nil, fmt.Errorf("%s: %w", j.doing(), err)
	}
	return j.moved, nil
}

// existed says whether the NIC is under the bridge already, as an earlier call recorded.
func (j *job) existed(ctx context.Context, old *record) (bool, error) {
	if old.Phase != moved {
		return false, nil
	}
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if err != nil {
		return false, err
	}
	br, err := j.kind.find(ctx)
	if br == nil || err != nil || old.recreated(br) {
		return false, err
	}
	if enslaved, err := j.kind.enslaved(ctx, old, nic, br); !enslaved || err != nil {
		return false, err
	}
	j.moved.Existed = true
	if j.moved.Undone, err = j.undone(); err != nil {
		return true, err
	}
	return true, j.count(ctx, br)
}

// refresh puts right what the bridge may have lost.
func (j *job) refresh(ctx context.Context, r *record) error {
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if err != nil {
		return err
	}
	br, err := j.kind.find(ctx)
	if br == nil || err != nil {
		return err
	}
	return j.kind.refresh(ctx, r, nic, br)
}

// count notes what the link has.
func (j *job) count(ctx context.Context, l *rtnl.Link) error {
	addrs, err := rtnl.WholeAddrs(ctx, j.host.Conn, l.Index)
	if err != nil {
		return err
	}
	j.moved.Addrs = nil
	for _, s := range addrs {
		if a, ok := s.Addr(); ok {
			j.moved.Addrs = append(j.moved.Addrs, a.Prefix)
		}
	}
	routes, err := rtnl.WholeRoutes(ctx, j.host.Conn, l.Index)
	j.moved.Routes = len(routes)
	return err
}

// record reads what the NIC and the bridge are.
func (j *job) record(ctx context.Context, nic, br *rtnl.Link) (r *record, err error) {
	r = &record{Version: version, Boot: ns.BootID(), Cookie: j.host.Conn.Cookie(), NIC: j.NIC, Bridge: j.Bridge, Phase: moving, Index: nic.Index}
	if err := j.save(ctx, r, nic); err != nil {
		return nil, err
	}
	if r.Neighbours, err = rtnl.Neighbours(ctx, j.host.Conn, nic.Index); err != nil {
		return nil, err
	}
	if r.AcceptDAD, err = j.setting(ctx, acceptDAD(j.NIC)); err != nil {
		return nil, err
	}
	if br != nil {
		if r.Was, err = j.was(ctx, br); err != nil {
			return nil, err
		}
	}
	return r, j.kind.note(ctx, r)
}

// save notes the link's addresses and routes in the record.
func (m mover) save(ctx context.Context, r *record, l *rtnl.Link) (err error) {
	r.Index, r.Saved, r.Routes = l.Index, sinceBoot(), nil
	if r.Addrs, err = rtnl.WholeAddrs(ctx, m.host.Conn, l.Index); err != nil {
		return err
	}
	routes, err := rtnl.WholeRoutes(ctx, m.host.Conn, l.Index)
	for _, route := range routes {
		r.Routes = append(r.Routes, route.Whole())
	}
	return err
}

// under does the work. The order is such that connections go on: the bridge answers for the
// NIC's MAC from the moment on that the NIC is its port; what comes in by it for the NIC's
// addresses is taken, and the NIC still sends.
func (j *job) under(ctx context.Context, r *record, nic *rtnl.Link) error {
	if err := j.write(ctx, r); err != nil {
		return err
	}
	if err := j.arm(ctx); err != nil {
		return err
	}
	if err := (leaser{j}).stopClient(ctx, r); err != nil {
		return err
	}
	conf, err := j.conf(ctx, nic)
	if err != nil {
		return err
	}
	br, err := j.makeBridge(ctx, r, nic, conf)
	if err != nil {
		return err
	}
	if err := j.keepRouters(ctx, nic, br, r.sign()); err != nil {
		return err
	}
	if err := j.kind.enslave(ctx, r, nic, br); err != nil {
		return err
	}
	if br, err = rtnl.LinkByIndex(ctx, j.host.Conn, br.Index); err != nil { // with its settings
		return err
	}
	want, err := r.state(j.NIC, br)
	if err != nil {
		return err
	}
	want.learns = nic.HearsRouters()
	if err := j.putNeighbours(ctx, r, br); err != nil {
		return err
	}
	if err := j.carry(ctx, want, nic, br); err != nil {
		return err
	}
	if err := j.settle(ctx, conf); err != nil {
		return err
	}
	if err := j.learn(ctx, want, br); err != nil {
		return err
	}
	if err := j.prune(ctx, want, br); err != nil {
		return err
	}
	if err := j.compare(ctx, want, br); err != nil {
		return err
	}
	if r.Taken != nil {
		if err := j.lifetime(ctx, br, r.Taken); err != nil {
			return err
		}
	}
	if err := j.count(ctx, br); err != nil {
		return err
	}
	j.announce(ctx, br)
	if err := j.probe(ctx, br); err != nil {
		return err
	}
	if err := j.stays(ctx, r, br); err != nil {
		return err
	}
	r.Phase = moved
	if err := j.write(ctx, r); err != nil {
		return err
	}
	if j.Probe == "" {
		j.moved.Undone, err = j.undone()
		return err
	}
	return j.Store.DeleteNote(j.unconfirmed())
}

// stays says whether somebody has taken the NIC from the bridge meanwhile.
func (j *job) stays(ctx context.Context, r *record, br *rtnl.Link) error {
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if err != nil {
		return err
	}
	if enslaved, err := j.kind.enslaved(ctx, r, nic, br); enslaved || err != nil {
		return err
	}
	return errs.New(fs.ErrInvalid, "somebody has taken %s from %s meanwhile", j.NIC, j.Bridge)
}

// announce tells neighbours; the MAC is the one that they know. It is no failure that it fails.
func (j *job) announce(ctx context.Context, l *rtnl.Link) {
	p := j.port(l)
	var s *announce.Sender
	err := j.do(ctx, func() error {
		s = announce.Open()
		return nil
	})
	if err == nil {
		err = s.Announce(ctx, p, j.moved.Addrs, 0)
		s.Close()
	}
	if err != nil {
		j.warn("neighbours were not told: %v", err)
	}
	for _, text := range p.Warnings {
		j.warn("%s", text)
	}
}
