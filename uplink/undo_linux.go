package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// undoTime bounds what is done after a failure, whatever the caller's context.
const undoTime = 30 * time.Second

func (p Plan) undo(ctx context.Context) (*Moved, error) {
	j, end, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	r, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case r == nil:
		return nil, errs.New(fs.ErrNotExist, "%s was not put under %s by pipework, as far as is recorded in %s: nothing to undo", j.NIC, j.Bridge, j.records())
	case j.DryRun:
		return j.moved, j.planUndo(ctx, r)
	}
	late, cancel := finish.Context(ctx) // what has begun is finished
	defer cancel()
	if err := j.take(late, r); err != nil {
		return nil, fmt.Errorf("take %s from %s: %w", j.NIC, j.Bridge, err)
	}
	return j.moved, nil
}

// take is restore, but of what the bridge has by now, where a call has put it there.
func (j *job) take(ctx context.Context, r *record) error {
	if err := j.kind.ready(ctx); err != nil {
		return err
	}
	if r.Phase == moved {
		if err := j.update(ctx, r); err != nil {
			return err
		}
	}
	return j.restore(ctx, r)
}

// update records what the bridge has by now as what the NIC is to have. Where the disk is full the
// former record has to do for whoever is interrupted.
func (j *job) update(ctx context.Context, r *record) error {
	br, err := j.kind.find(ctx)
	if br == nil || err != nil || r.recreated(br) {
		return err // nothing is left of it, so that what was is the best that is known
	}
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is put back
	}
	if err != nil {
		return err
	}
	now, own := &record{Bridge: j.Bridge}, &record{Bridge: j.Bridge}
	if err := errs.Join(j.save(ctx, now, br), j.save(ctx, own, nic)); err != nil {
		return err
	}
	if r.Neighbours, err = rtnl.Neighbours(ctx, j.host.Conn, br.Index); err != nil {
		return err
	}
	s, err := now.state(j.Bridge, nic)
	if err != nil {
		return err
	}
	// What the NIC has was there before: who was interrupted has put it there.
	have := map[string]bool{}
	for _, a := range own.Addrs {
		have[a.AlikeAddr()] = true
	}
	r.Addrs = append(own.Addrs, slices.DeleteFunc(s.addrs, func(a rtnl.Saved) bool { return have[a.AlikeAddr()] })...)
	r.Routes = own.Routes
	for _, b := range own.Routes {
		have[string(b)] = true
		if route, ok := rtnl.ParseSaved(b); ok {
			have[route.Alike()] = true
		}
	}
	for _, route := range s.routes {
		if !have[route.Alike()] {
			r.Routes = append(r.Routes, route.Whole())
		}
	}
	r.Phase, r.Index, r.Saved = moving, nic.Index, now.Saved
	if err := j.write(ctx, r); err != nil && !errs.IsUnwritable(err) {
		return err
	}
	return nil
}

// restore makes the NIC, and the bridge, what the record says, and removes it.
func (j *job) restore(ctx context.Context, r *record) error {
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if errors.Is(err, fs.ErrNotExist) {
		j.warn("%s is gone: its addresses and routes went with it", j.NIC)
		if err := j.dropAddrs(ctx, r); err != nil {
			return err
		}
		return j.restoreBridge(ctx, r)
	}
	if err != nil {
		return err
	}
	want, err := r.state(j.NIC, nic)
	if err != nil {
		return err
	}
	want.learns = nic.HearsRouters() || r.Heard
	br, err := j.ours(ctx, r, nic)
	if err != nil {
		return err
	}
	if err := j.set(ctx, acceptDAD(j.NIC), "0"); err != nil {
		return err
	}
	if br != nil {
		conf, err := j.meanwhile(ctx, map[string]string{rpFilter: "1", acceptRA: "0"})
		if err != nil {
			return err
		}
		if err := j.configure(ctx, conf); err != nil {
			return err
		}
	}
	if err := j.carry(ctx, want, br, nic); err != nil {
		return err
	}
	if err := j.putNeighbours(ctx, r, nic); err != nil { // they went with its last address
		return err
	}
	if err := j.kind.release(ctx, r, nic, br); err != nil {
		return fmt.Errorf("take it from the bridge: %w", err)
	}
	if err := j.learn(ctx, want, nic); err != nil {
		return err
	}
	if err := j.prune(ctx, want, nic); err != nil {
		return err
	}
	if err := j.set(ctx, acceptDAD(j.NIC), r.AcceptDAD); err != nil {
		return err
	}
	if err := j.compare(ctx, want, nic); err != nil {
		return err
	}
	if err := j.count(ctx, nic); err != nil {
		return err
	}
	return j.restoreBridge(ctx, r)
}

// dropAddrs takes from the bridge what a NIC that is gone had: the bridge is not used for that.
func (j *job) dropAddrs(ctx context.Context, r *record) error {
	br, err := j.kind.find(ctx)
	if br == nil || err != nil {
		return err
	}
	if made, err := j.kind.made(ctx, r, br); r.Was == nil && !made || err != nil {
		return err // somebody else's, made meanwhile
	}
	for _, a := range r.Addrs {
		if err := a.DelAddr(ctx, j.host.Conn, br.Index); err != nil {
			return err
		}
	}
	return nil
}

// restoreBridge makes the bridge what it was, and forgets the record.
func (j *job) restoreBridge(ctx context.Context, r *record) error {
	if err := j.leaveBridge(ctx, r); err != nil {
		return err
	}
	if err := j.dropRouters(ctx); err != nil {
		return err
	}
	if err := (leaser{j}).continueClient(ctx, r); err != nil {
		return err
	}
	return j.forget(ctx)
}

// ours is the bridge as far as a call has come: nil where it has none of the NIC's yet.
func (j *job) ours(ctx context.Context, r *record, nic *rtnl.Link) (*rtnl.Link, error) {
	br, err := j.kind.find(ctx)
	if br == nil || err != nil {
		return nil, err
	}
	if r.Was == nil {
		if made, err := j.kind.made(ctx, r, br); !made || err != nil {
			return nil, err // somebody else's, made meanwhile
		}
	}
	enslaved, err := j.kind.enslaved(ctx, r, nic, br)
	if err != nil || enslaved || nic.Master == 0 {
		return br, err
	}
	if master, err := rtnl.LinkByIndex(ctx, j.host.Conn, nic.Master); err != nil || r.OVS == nil || master.Kind != "openvswitch" {
		return nil, errs.Join(err, errs.New(fs.ErrInvalid, "%s is part of something else by now: ip link set %s nomaster", j.NIC, j.NIC))
	}
	return br, nil // the database has no port, and ovs-vswitchd is still to hear of it
}
