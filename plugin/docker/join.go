package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// prefix begins the names that Docker gives interfaces in a container.
const prefix = "eth"

// join has the interface wait on the host. Docker moves it into the container, names it, sets
// its addresses and the default route, before the container's first instruction.
func (d *Driver) join(ctx context.Context, m *endpointMessage) (any, error) {
	t := d.message(m.EndpointID)
	defer t.Unlock()
	e, err := d.endpoint(m.EndpointID)
	if err != nil {
		return nil, fmt.Errorf("the endpoint %s is not known here: %w", short(m.EndpointID), err)
	}
	if e.Sandbox != "" && e.Sandbox != m.SandboxKey {
		return nil, errs.New(fs.ErrExist, "the endpoint %s is in %s already", short(e.ID), e.Sandbox)
	}
	e.Sandbox = m.SandboxKey
	if err := d.keep(e); err != nil {
		return nil, err
	}
	if err := d.offer(ctx, e); err != nil {
		return nil, err
	}
	if err := removeRoom((rooms{d}).room(e)); err != nil {
		return nil, err
	}
	t.halt()
	d.follow(t, e)
	a := joined{InterfaceName: interfaceName{SrcName: e.src(), DstPrefix: prefix, DstName: e.DstName}, DisableGatewayService: true}
	for _, gw := range e.Gateways {
		if gw.Is4() {
			a.Gateway = gw.String()
		} else {
			a.GatewayIPv6 = gw.String()
		}
	}
	return a, nil
}

// offer has the interface be where Docker fetches it. Docker asks again where this process has
// died: then it may be there already, or nowhere any more.
func (d *Driver) offer(ctx context.Context, e *endpoint) error {
	err := rooms{d}.toHost(ctx, e)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if waits, err := (rooms{d}).waits(ctx, e); waits || err != nil {
		return err
	}
	if _, err := (rooms{d}).makeInRoom(ctx, e); err != nil {
		return err
	}
	return rooms{d}.toHost(ctx, e)
}

// leave detaches the interface, as long as it is in the container: a lease is given back from
// there.
func (d *Driver) leave(ctx context.Context, m *endpointMessage) (any, error) {
	t := d.message(m.EndpointID)
	defer t.Unlock()
	e, err := d.endpoint(m.EndpointID)
	if errors.Is(err, fs.ErrNotExist) {
		return nothing{}, nil
	}
	if err != nil {
		return nil, err
	}
	return nothing{}, d.detach(ctx, t, e)
}

// follow waits for the container, sees to what Docker does not set there, and keeps the lease.
func (d *Driver) follow(t *turn, e *endpoint) {
	d.background(t, func(ctx context.Context) {
		wait, err := d.settle(ctx, e)
		if err == nil && wait != nil {
			err = wait(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("cannot finish the interface", "endpoint", short(e.ID), "error", err)
		}
	})
}

// startTime bounds the wait for Docker to move an interface into a container.
const startTime = 2 * time.Minute

// settle has the interface in the container be what the endpoint's Spec says, and recorded.
func (d *Driver) settle(ctx context.Context, e *endpoint) (wait func(context.Context) error, err error) {
	if e.Interface == "" {
		who := d.who(ctx, e) // which takes its time, as Docker does
		if e.Resolv && e.Spec.DHCP != nil {
			e.Spec.DHCP = withResolv(e.Spec.DHCP, d.resolvConf(ctx, e))
		}
		if err := d.await(ctx, e, who); err != nil {
			return nil, err
		}
	}
	declared := keep.Declared{Spec: e.Spec.Spec, Stay: e.Spec.DHCP != nil}
	declared.Spec.Name = e.Interface
	at, wait, err := d.Attach(ctx, e.Guest, declared)
	if err != nil {
		return nil, err
	}
	for _, text := range at.Warnings {
		d.Log.Warn(text, "guest", e.Guest, "interface", e.Interface)
	}
	return wait, nil
}

// await returns when the interface is in the container, and marked so.
func (d *Driver) await(ctx context.Context, e *endpoint, who ns.Ref) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, errs.New(context.DeadlineExceeded, "Docker did not move it into %s within %v", e.Sandbox, startTime))
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(wait*3/2, 100*time.Millisecond) {
		err := d.adopt(ctx, e, who)
		if !isMissing(err) {
			return err
		}
		if pause.For(ctx, wait) != nil {
			return context.Cause(ctx)
		}
	}
}

// adopt marks the interface as the container's, and keeps what it is called there. Where it is
// not there yet the error satisfies fs.ErrNotExist.
func (d *Driver) adopt(ctx context.Context, e *endpoint, who ns.Ref) error {
	s := e.Spec.Spec
	s.Name = e.src()
	a := d.Attacher
	a.Log = nil // it is tried often
	name, err := a.Adopt(ctx, d.Target(who), s)
	if err != nil {
		return err
	}
	e.Guest, e.Interface = who, name
	return d.keep(e)
}

// who is the endpoint as a guest, by the names of network and container, where Docker tells them.
func (d *Driver) who(ctx context.Context, e *endpoint) ns.Ref {
	who := e.waiting()
	if net, container, err := d.names(ctx, e); err != nil {
		d.Log.Debug("names", "endpoint", short(e.ID), "error", err)
	} else {
		who.Name = net + "/" + cmp.Or(container, short(e.ID))
	}
	who.ID = e.Sandbox
	return who
}

// detach takes the interface away, wherever it is.
func (d *Driver) detach(ctx context.Context, t *turn, e *endpoint) error {
	t.halt()
	if now, err := d.endpoint(e.ID); err == nil { // the container may have been found meanwhile
		*e = *now
	}
	if e.Sandbox != "" && e.Interface == "" {
		who := e.waiting()
		who.ID = e.Sandbox
		if err := d.adopt(ctx, e, who); err != nil && !isMissing(err) {
			return err
		}
	}
	var failed []error
	if e.Interface != "" { // of this namespace: a container of the same name may have started since
		r, err := d.Detach(ctx, e.Guest.WithID(e.Sandbox), e.Interface, keep.DetachOptions{})
		d.Log.Debug("detached", "guest", e.Guest, "interface", e.Interface, "found", r != nil, "error", err)
		failed = append(failed, unlessMissing(err))
	}
	name, err := rooms{d}.fromHost(ctx, e)
	if err == nil && e.Spec.DHCP != nil && name == e.src() { // a lease is given back by who has its address
		if _, err := d.Attacher.Update(ctx, (rooms{d}).roomTarget(e), e.inRoom()); err != nil {
			d.Log.Warn("a lease is not given back, and ends by itself", "endpoint", short(e.ID), "error", err)
		}
	}
	failed = append(failed, unlessMissing(err))
	_, err = d.Attacher.Detach(ctx, rooms{d}.roomTarget(e), pipework.Spec{Name: cmp.Or(name, e.src()), Link: e.Spec.Link, DHCP: e.Spec.DHCP})
	failed = append(failed, unlessMissing(err))
	return errs.Join(failed...)
}

// remove takes away all of an endpoint, its note last.
func (d *Driver) remove(ctx context.Context, t *turn, e *endpoint) error {
	if err := d.detach(ctx, t, e); err != nil {
		return err
	}
	if err := removeRoom((rooms{d}).room(e)); err != nil {
		return err
	}
	return d.Store.DeleteNote(endpointNote(e.ID))
}

// isMissing says that there is no such guest, or no such interface. Before Docker mounts a
// namespace there, and afterwards, a sandbox is a plain file.
func isMissing(err error) bool {
	failed, is := errors.AsType[*pipework.Error](err)
	return errors.Is(err, fs.ErrNotExist) || is && failed.Stage == pipework.StageGuest && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// unlessMissing is the error, unless isMissing.
func unlessMissing(err error) error {
	if isMissing(err) {
		return nil
	}
	return err
}

// resolvConf is the container's resolv.conf; "" where that is not known.
func (d *Driver) resolvConf(ctx context.Context, e *endpoint) string {
	path, err := d.resolvPath(ctx, e)
	if err != nil {
		d.Log.Warn("the container's resolv.conf is not known", "endpoint", short(e.ID), "error", err)
		return ""
	}
	return path
}
