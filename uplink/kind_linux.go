package uplink

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/ifconf"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// A kind is what differs between bridges of Linux and those of Open vSwitch.
type kind interface {
	// find is the bridge's device; nil: there is none.
	find(context.Context) (*rtnl.Link, error)
	// refused says why the bridge cannot have the NIC; br is nil where there is none.
	refused(ctx context.Context, nic, br *rtnl.Link) error
	// ready says why a NIC could not be taken from the bridge now.
	ready(context.Context) error
	// note adds to the record what only this kind has: of the bridge, and of what is to be made.
	note(context.Context, *record) error

	// create makes the bridge, whose device may be down yet, with the NIC's MAC and MTU.
	create(ctx context.Context, r *record, nic *rtnl.Link) (*rtnl.Link, error)
	// start sets the device up, and gives one that was there the NIC's MAC.
	start(ctx context.Context, r *record, nic, br *rtnl.Link) error
	// enslave makes the NIC a port of the bridge.
	enslave(ctx context.Context, r *record, nic, br *rtnl.Link) error
	// enslaved says whether it is.
	enslaved(ctx context.Context, r *record, nic, br *rtnl.Link) (bool, error)
	// refresh does again what may be lost while the NIC is a port.
	refresh(ctx context.Context, r *record, nic, br *rtnl.Link) error
	// release is the reverse of enslave, whatever became of that.
	release(ctx context.Context, r *record, nic, br *rtnl.Link) error

	// reset is the reverse of start, for a bridge that was there.
	reset(ctx context.Context, r *record, br *rtnl.Link) error
	// made says whether a call that the record is of has made the bridge; br is nil where it has no
	// device.
	made(ctx context.Context, r *record, br *rtnl.Link) (bool, error)
	// used says whether somebody else uses the bridge.
	used(ctx context.Context, r *record, br *rtnl.Link) (bool, error)
	// leave has the bridge be one that goes with its last guest, and remove removes it.
	leave(ctx context.Context, br *rtnl.Link) error
	remove(ctx context.Context, r *record, br *rtnl.Link) error
}

var _ kind = linux{}

// makeBridge makes the bridge, or takes the one that is there, with the NIC's MAC and settings.
func (j *job) makeBridge(ctx context.Context, r *record, nic *rtnl.Link, conf map[string]string) (*rtnl.Link, error) {
	defer j.hold(ctx)()
	conf, err := j.meanwhile(ctx, conf)
	if err != nil {
		return nil, err
	}
	br, err := j.kind.find(ctx)
	if br == nil && err == nil {
		br, err = j.kind.create(ctx, r, nic)
	}
	if err != nil {
		return nil, err
	}
	if err := j.configure(ctx, conf); err != nil {
		return nil, err
	}
	return br, j.kind.start(ctx, r, nic, br)
}

// was reads what the bridge is.
func (j *job) was(ctx context.Context, br *rtnl.Link) (w *bridge, err error) {
	w = &bridge{MAC: br.MAC, Alias: br.Alias, Up: br.Up}
	w.Conf, err = ifconf.Read(ctx, j.do, br.Name)
	return w, err
}

// leaveBridge makes the bridge what it was, or removes it where there was none, unless guests
// use it.
func (j *job) leaveBridge(ctx context.Context, r *record) error {
	defer j.hold(ctx)()
	br, err := j.kind.find(ctx)
	if err != nil {
		return err
	}
	if r.Was != nil {
		if br == nil {
			return nil
		}
		return j.resetBridge(ctx, r, br)
	}
	made, err := j.kind.made(ctx, r, br)
	if !made || err != nil {
		return err // or somebody else's, made meanwhile
	}
	used, err := j.kind.used(ctx, r, br)
	switch {
	case err != nil:
		return err
	case used:
		j.warn("bridge %s stays, for those who use it", j.Bridge)
		if err := j.do(ctx, func() error { return rtnl.IgnoreRouters(ctx, j.Bridge) }); err != nil {
			return err
		}
		return j.kind.leave(ctx, br)
	}
	return j.kind.remove(ctx, r, br)
}

// deviceUsed says whether a device has addresses, or something stands on it, or is part of it.
func (m mover) deviceUsed(ctx context.Context, br *rtnl.Link) (bool, error) {
	all, err := rtnl.Links(ctx, m.host.Conn)
	if err != nil {
		return true, err
	}
	for _, l := range all {
		if l.Master == br.Index || l.Parent == br.Index && !l.Foreign {
			return true, nil
		}
	}
	addrs, err := rtnl.Addrs(ctx, m.host.Conn, br.Index)
	for _, a := range addrs {
		if !a.ByKernel() {
			return true, nil
		}
	}
	return false, err
}

// resetBridge makes a bridge that was there what it was.
func (j *job) resetBridge(ctx context.Context, r *record, br *rtnl.Link) error {
	for _, n := range r.Neighbours {
		if err := n.DelNeighbour(ctx, j.host.Conn, br.Index); err != nil && !errors.As(err, new(unix.Errno)) { // it may be gone
			return err
		}
	}
	if err := j.kind.reset(ctx, r, br); err != nil {
		return err
	}
	if err := ifconf.Write(ctx, j.do, j.Bridge, r.Was.Conf, func(err error) { j.warn("%v", err) }); err != nil {
		return err
	}
	if r.Was.Up {
		return nil
	}
	return rtnl.SetDown(ctx, j.host.Conn, br.Index)
}
