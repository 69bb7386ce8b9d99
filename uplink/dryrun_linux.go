package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/told"
)

// leftover says that a call was killed, whose work the next one undoes first.
const leftover = "undo what a call that was killed has left"

// planMove says what Move would do.
func (p Plan) planMove(ctx context.Context) (*Moved, error) {
	ctx = fault.ReadOnly(ctx)
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
		if !there && err == nil {
			j.moved.Plan = []string{leftover, fmt.Sprintf("then put %s under %s, unless that is refused", j.NIC, j.Bridge)}
		}
		return j.moved, err
	}
	nic, br, err := refuser{j}.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.count(ctx, nic); err != nil {
		return nil, err
	}
	if j.DHCP {
		j.plan("take the lease over of the DHCP client on %s, and stop that", j.NIC)
	}
	if j.isShim() {
		j.plan("make the macvlan interface %s on %s, with its settings and a MAC of its own", j.Bridge, j.NIC)
		j.plan("have %s follow router advertisements from the network alone, and answer ARP in place of %s", j.Bridge, j.NIC)
		return j.moved, j.planCarry(ctx, nic, j.Bridge)
	}
	if br == nil {
		j.plan("make the bridge %s with the MAC %s of %s, its MTU %d and its settings", j.Bridge, nic.MAC, j.NIC, nic.MTU)
	} else {
		j.plan("give the bridge %s the MAC %s of %s and its settings", j.Bridge, nic.MAC, j.NIC)
	}
	j.plan("have %s follow router advertisements and redirects from %s alone", j.Bridge, j.NIC)
	j.plan("make %s a port of %s", j.NIC, j.Bridge)
	return j.moved, j.planCarry(ctx, nic, j.Bridge)
}

// planCarry says what a link has that another one would get.
func (j *job) planCarry(ctx context.Context, from *rtnl.Link, to string) error {
	for _, a := range told.Of(texts(j.moved.Addrs)) {
		j.plan("move the address %s to %s", a, to)
	}
	routes, err := rtnl.WholeRoutes(ctx, j.host.Conn, from.Index)
	if err != nil {
		return err
	}
	var others []rtnl.Route
	for _, r := range routes {
		if !connected(r) {
			others = append(others, r)
		}
	}
	for _, r := range told.Of(texts(others)) {
		j.plan("move the route %s to %s", r, to)
	}
	return nil
}

func texts[T fmt.Stringer](all []T) (texts []string) {
	for _, v := range all {
		texts = append(texts, v.String())
	}
	return texts
}

// planUndo says what Undo would do.
func (j *job) planUndo(ctx context.Context, r *record) error {
	ctx = fault.ReadOnly(ctx)
	if r.Phase != moved {
		j.plan(leftover)
		return nil
	}
	br, err := j.kind.find(ctx)
	if err != nil {
		return err
	}
	if br == nil {
		j.plan("give %s back what it had: %s is gone", j.NIC, j.Bridge)
		return nil
	}
	if err := j.count(ctx, br); err != nil {
		return err
	}
	if err := j.planCarry(ctx, br, j.NIC); err != nil {
		return err
	}
	j.plan("take %s from %s", j.NIC, j.Bridge)
	if r.Was != nil {
		j.plan("make %s what it was", j.Bridge)
	} else {
		j.plan("remove %s, unless others use it", j.Bridge)
	}
	return nil
}

func (j *job) plan(format string, args ...any) {
	j.moved.Plan = append(j.moved.Plan, fmt.Sprintf(format, args...))
}

func (p Plan) examine(ctx context.Context) (*Examined, error) {
	p.DryRun = true
	ctx = fault.ReadOnly(ctx)
	j, end, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	x := &Examined{NIC: p.NIC, Bridge: p.Bridge}
	old, err := j.read(ctx)
	if err != nil {
		return x, x.refused(err)
	}
	if old != nil {
		if x.Existed, err = j.existed(ctx, old); err != nil {
			return x, x.refused(err)
		}
	}
	nic, err := rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
	if err != nil {
		_, _, err = refuser{j}.look(ctx)
		return x, x.refused(err)
	}
	x.Notes = j.notes(ctx, nic)
	if old != nil {
		if !x.Existed {
			x.Notes = append([]string{leftover + ": pipework uplink --undo " + j.Bridge + " " + j.NIC}, x.Notes...)
		}
		return x, nil
	}
	if err := j.choose(ctx); err != nil {
		return x, x.refused(err)
	}
	br, err := j.kind.find(ctx)
	if err := x.refused(err); err != nil {
		return nil, err
	}
	for _, refused := range (refuser{j}).refusals(ctx, nic, br) {
		if err := x.refused(refused()); err != nil {
			return nil, err
		}
	}
	x.Notes = append(x.Notes, j.moved.Warnings...)
	return x, nil
}

// refused notes an error that is a refusal, and returns another one.
func (x *Examined) refused(err error) error {
	for _, class := range []error{fs.ErrInvalid, fs.ErrExist, fs.ErrNotExist, errors.ErrUnsupported} {
		if errors.Is(err, class) {
			x.Refused = append(x.Refused, err.Error())
			return nil
		}
	}
	return err
}
