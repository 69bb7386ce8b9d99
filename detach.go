//go:build linux

package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Detach is [Detach] by this Attacher.
func (a *Attacher) Detach(ctx context.Context, t Target, s Spec) error {
	s = s.normal()
	j := &job{Attacher: a, op: "detach", spec: s}
	if err := link.ValidName(s.Name); err != nil {
		return j.fail("spec", errs.New(fs.ErrInvalid, "%w", err))
	}
	err := j.open(ctx, t)
	if errors.Is(err, fs.ErrNotExist) {
		return j.forget(ctx, t)
	}
	if err != nil {
		return err
	}
	defer j.close()
	if err := j.detach(ctx); err != nil {
		return j.rollBack(ctx, err)
	}
	return nil
}

// forget cleans up on the host after a guest that is gone.
func (j *job) forget(ctx context.Context, t Target) error {
	if j.spec.Link == nil {
		return nil
	}
	if err := j.openHost(ctx); err != nil {
		return j.fail("link", err)
	}
	defer j.closeHost()
	j.remember(t)
	if err := j.spec.Link.Unplug(ctx, &j.port); err != nil {
		return j.fail("link", err)
	}
	return nil
}

// remember fills the port for a guest that is gone.
func (j *job) remember(t Target) {
	j.port = link.Port{Host: j.host, Name: j.spec.Name, Force: j.spec.Force}
	j.port.Mark = link.Mark{Link: j.spec.Link.String(), Interface: j.spec.Name, Guest: remembered(t)}
}

// remembered is what is known of a guest that is gone, as its marks tell it.
func remembered(t Target) ns.Identity {
	switch t := t.(type) {
	case ns.PID:
		return ns.Identity{PID: int(t)}
	case ns.Named:
		return ns.Identity{Name: ns.Ref{Kind: ns.Netns, Name: string(t)}.String()}
	}
	return ns.Identity{Name: fmt.Sprint(t)} // a path, a container's name
}

// detach leaves what cannot be undone, the removal of the interface, for last.
func (j *job) detach(ctx context.Context) error {
	unlock, err := j.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := j.unconfigure(ctx); err != nil || j.spec.Link == nil {
		return err
	}
	j.log(ctx, "unplug")
	defer j.warn(ctx)
	return j.unplugged(ctx, j.spec.Link.Unplug(ctx, &j.port))
}

// warn tells the log, which Detach has instead of a result.
func (j *job) warn(ctx context.Context) {
	for _, text := range j.port.Warnings {
		if j.Log != nil {
			j.Log.WarnContext(ctx, text)
		}
	}
}

// unconfigure does what can be undone, and finds the backend.
func (j *job) unconfigure(ctx context.Context) error {
	l, err := j.find(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l != nil {
		if err := j.giveBack(ctx, l); err != nil {
			return j.fail("dhcp", err)
		}
	}
	if err := j.dropRules(ctx, l); err != nil {
		return j.fail("route", err)
	}
	for _, family := range families {
		index := 0 // gone already: only what it displaced may be left
		if l != nil {
			index = l.Index
		}
		j.log(ctx, "restore routes", "family", family)
		if err := j.restoreDefaults(ctx, index, family); err != nil {
			return j.fail("route", err)
		}
	}
	return nil
}

// unplugged is the end of a detach whose Unplug ended with err.
func (j *job) unplugged(ctx context.Context, err error) error {
	if err != nil {
		return j.fail("link", j.stillThere(ctx, err))
	}
	return nil
}

// stillThere forgets the way back when the interface is gone although its
// removal failed at something else: then there is nothing to return to, and the
// next Detach does the rest.
func (j *job) stillThere(ctx context.Context, err error) error {
	if _, gone := rtnl.LinkByName(fault.Off(ctx), j.port.Conn, j.spec.Name); errors.Is(gone, fs.ErrNotExist) {
		j.undo = link.Undo{}
	}
	return err
}

var families = [...]int{unix.AF_INET, unix.AF_INET6}

// lookUp finds the interface: one of the host's own by the host's record, and the end
// of a pair by its end on the host, whatever it is called by now; others by their name, or by their mark when somebody in the
// guest has renamed it.
func (j *job) lookUp(ctx context.Context) (*rtnl.Link, error) {
	nics, err := link.NICs(ctx, j.guest.Handle)
	if err != nil {
		return nil, err
	}
	for index, m := range nics {
		if m.Interface == j.spec.Name && (j.spec.Link == nil || j.spec.Link.String() == m.Link) {
			return rtnl.LinkByIndex(ctx, j.port.Conn, index)
		}
	}
	l, missing := rtnl.LinkByName(ctx, j.port.Conn, j.spec.Name)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	if l != nil {
		if _, proven := link.HostMark(ctx, &j.port); proven {
			return l, nil
		}
	}
	if pair, err := j.pair(ctx, l); pair != nil || err != nil {
		return pair, err
	}
	if l != nil {
		return l, nil
	}
	links, err := rtnl.Links(ctx, j.port.Conn)
	if err != nil {
		return nil, err
	}
	var found *rtnl.Link
	onHost := j.guest.Inode() == j.host.Inode()
	for _, l := range links {
		m, ours := link.ParseMark(l.Alias)
		switch {
		case !ours || m.Interface != j.spec.Name || onHost:
		case !m.IsNIC():
			return l, nil
		default: // no record says so: only where there is no other
			found = l
		}
	}
	if found != nil {
		return found, nil
	}
	return nil, missing
}

// pair is the guest's end of a pair that the host's end of is pipework's for this
// interface, where what the guest calls so, l or nothing, is none. One that the guest
// has moved on is fs.ErrNotExist; Unplug finds it all the same.
func (j *job) pair(ctx context.Context, l *rtnl.Link) (*rtnl.Link, error) {
	pairs, err := link.PairsOf(ctx, &j.port)
	if err != nil {
		return nil, err
	}
	for index, m := range pairs {
		if l != nil && j.spec.Link != nil && j.spec.Link.String() != m.Link {
			delete(pairs, index) // another kind was plugged in under the name since
		} else if index != 0 {
			return rtnl.LinkByIndex(ctx, j.port.Conn, index)
		}
	}
	m, movedOn := pairs[0]
	if !movedOn {
		return nil, nil
	}
	if j.spec.Link == nil {
		if j.spec.Link, err = link.FromMark(m); err != nil {
			return nil, err
		}
	}
	return nil, errs.New(fs.ErrNotExist, "the end of the pair on %s is not in %s any more", m.Link, j.guest.Name)
}

// owner is the mark of the interface: of one of the host's own as the host recorded
// it, of a pair's as its end on the host bears it, else its own. For one that a killed call could not mark any more it is link.Unmarked. An interface that
// claims to be the host's, and is not known to be, is an error.
func (j *job) owner(ctx context.Context, l *rtnl.Link) (mark link.Mark, ours bool, err error) {
	nics, err := link.NICs(ctx, j.guest.Handle)
	if err != nil {
		return link.Mark{}, false, j.fail("link", err)
	}
	own, marked := link.ParseMark(l.Alias)
	if nic, is := nics[l.Index]; is {
		nic.Lease, nic.Lease6 = own.Lease, own.Lease6 // which came after the record
		return nic, true, nil
	}
	if mark, ours = link.HostMark(ctx, &j.port); ours {
		if marked && !own.IsNIC() { // which is written anew as things change
			mark.Spec, mark.Lease, mark.Lease6, mark.Rules = own.Spec, own.Lease, own.Lease6, own.Rules
		}
		return mark, true, nil
	}
	if marked && !own.IsNIC() {
		return own, true, nil
	}
	switch {
	case marked:
		mark, err = j.unproven(own)
		return mark, true, err
	case !l.Unfinished():
		return link.Mark{}, false, nil
	}
	return link.Mark{Link: link.Unmarked, Interface: j.spec.Name, Guest: j.guest.Identity}, true, nil
}

// unproven is what an interface is taken for that bears the mark of one of the
// host's own without being known as such: what the caller says that it is. The
// error's stage is not that of a link that is somebody else's.
func (j *job) unproven(own link.Mark) (link.Mark, error) {
	switch s := j.spec; {
	case s.Force && (s.Link == nil || s.Link.String() == own.Link):
		return own, nil
	case s.Link != nil && !j.port.Mark.IsNIC():
		own.Link = s.Link.String()
		return own, nil
	}
	return own, j.fail("interface", link.Unproven(&j.port, own))
}

// movedOn says whether the interface is one of the host's own that the guest had and
// has not any more, and that the Spec means: Unplug finds it all the same.
func (j *job) movedOn() bool {
	mark, was := link.RecordedNIC(j.guest.Handle, j.spec.Name)
	if !was || j.spec.Link != nil && j.spec.Link.String() != mark.Link {
		return false
	}
	b, err := link.FromMark(mark)
	if err == nil && j.spec.Link == nil {
		j.spec.Link = b
	}
	return err == nil
}

// find looks the interface up, reads its mark into the port, and makes sure
// that it is the one that the Spec means.
func (j *job) find(ctx context.Context) (*rtnl.Link, error) {
	l, err := j.lookUp(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		j.movedOn()
	}
	if err != nil {
		return nil, j.fail("interface", err)
	}
	j.port.Name = l.Name
	mark, ours, err := j.owner(ctx, l)
	if errors.Is(err, fs.ErrPermission) && j.movedOn() {
		return nil, j.fail("interface", errs.New(fs.ErrNotExist, "%s is not in %s any more, and %s only bears its mark", j.spec.Link, j.guest.Name, l.Name))
	}
	if err != nil {
		return nil, err
	}
	if !ours {
		return nil, j.fail("link", errs.New(fs.ErrPermission, "pipework did not make this interface: leaving it alone"))
	}
	if mark.Link == link.Unmarked && j.spec.Link != nil {
		mark.Link = j.spec.Link.String()
	}
	if j.spec.Link == nil {
		if j.spec.Link, err = link.FromMark(mark); err != nil {
			return nil, j.fail("link", err)
		}
	}
	if want := j.spec.Link.String(); want != mark.Link {
		return nil, j.fail("link", errs.New(fs.ErrInvalid, "the interface is plugged into %s, not %s", mark.Link, want))
	}
	j.port.Mark = mark
	return l, nil
}
