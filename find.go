//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// A finder finds the interface that a job's Spec means, and whose it is. It believes the
// host's records and the host's ends of pairs before what the guest says.
type finder struct{ *job }

// lookUp finds the interface: one of the host's own by the host's record, and the end
// of a pair by its end on the host, whatever it is called by now; others by their name, or
// by their mark when somebody in the guest has renamed it.
func (f finder) lookUp(ctx context.Context) (*rtnl.Link, error) {
	nics, err := link.NICs(ctx, f.guest.Handle)
	if err != nil {
		return nil, err
	}
	for index, m := range nics {
		if m.Interface == f.spec.Name && (f.spec.Link == nil || f.spec.Link.String() == m.Link) {
			return rtnl.LinkByIndex(ctx, f.port.Conn, index)
		}
	}
	l, missing := rtnl.LinkByName(ctx, f.port.Conn, f.spec.Name)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	if l != nil {
		if _, proven := link.HostMark(ctx, &f.port); proven {
			return l, nil
		}
	}
	if pair, err := f.pair(ctx, l); pair != nil || err != nil {
		return pair, err
	}
	if l != nil && !f.isAnother(ctx, l, nics) {
		return l, nil
	}
	links, err := rtnl.Links(ctx, f.port.Conn)
	if err != nil {
		return nil, err
	}
	found := l
	onHost := f.guest.Inode() == f.host.Inode()
	for _, l := range links {
		m, ours := link.ParseMark(l.Alias)
		switch {
		case !ours || m.Interface != f.spec.Name || onHost:
		case !m.IsNIC():
			return l, nil
		case found == nil: // no record says so: only where there is no other
			found = l
		}
	}
	if found != nil {
		return found, nil
	}
	return nil, missing
}

// isAnother says whether the link with the Spec's name was plugged in under another one, and
// the guest has renamed it.
func (f finder) isAnother(ctx context.Context, l *rtnl.Link, nics map[int]link.Mark) bool {
	m, known := nics[l.Index]
	if !known {
		m, known = link.PairMark(ctx, &f.port)
	}
	if !known {
		m, known = link.ParseMark(l.Alias)
	}
	return known && m.Interface != f.spec.Name
}

// pair is the guest's end of a pair that the host's end of is pipework's for this
// interface, where what the guest calls so, l or nothing, is none. One that the guest
// has moved on is fs.ErrNotExist; Unplug finds it all the same.
func (f finder) pair(ctx context.Context, l *rtnl.Link) (*rtnl.Link, error) {
	pairs, err := link.PairsOf(ctx, &f.port)
	if err != nil {
		return nil, err
	}
	for index, m := range pairs {
		if l != nil && f.spec.Link != nil && f.spec.Link.String() != m.Link {
			delete(pairs, index) // another kind was plugged in under the name since
		} else if index != 0 {
			return rtnl.LinkByIndex(ctx, f.port.Conn, index)
		}
	}
	m, movedOn := pairs[0]
	if !movedOn {
		return nil, nil
	}
	if f.spec.Link == nil {
		if f.spec.Link, err = f.backend(m); err != nil {
			return nil, err
		}
	}
	return nil, errs.New(fs.ErrNotExist, "the end of the pair on %s is not in %s any more", m.Link, f.guest.Name)
}

// owner is the mark of the interface: of one of the host's own as the host recorded
// it, of a pair's as its end on the host bears it, else its own. For one that a killed call
// could not mark any more it is link.Unmarked. An interface that claims to be the host's,
// and is not known to be, is an error.
func (f finder) owner(ctx context.Context, l *rtnl.Link) (mark link.Mark, ours bool, err error) {
	nics, err := link.NICs(ctx, f.guest.Handle)
	if err != nil {
		return link.Mark{}, false, f.fail(StageLink, err)
	}
	own, marked := link.ParseMark(l.Alias)
	if nic, is := nics[l.Index]; is {
		nic.Lease, nic.Lease6 = own.Lease, own.Lease6 // which came after the record
		return nic, true, nil
	}
	if mark, ours = link.PairMark(ctx, &f.port); ours {
		return newer(mark, own), true, nil
	}
	if marked && !own.IsNIC() {
		return own, true, nil
	}
	switch {
	case marked:
		mark, err = f.unproven(own)
		return mark, true, err
	case !l.Unfinished():
		return link.Mark{}, false, nil
	}
	return link.Mark{Link: link.Unmarked, Interface: f.spec.Name, Guest: f.guest.Identity}, true, nil
}

// newer is the mark of the host's end of a pair with what the guest's own has newer: that
// is rewritten as things change. What is pinned, and for which
// namespace it was made, is the host's end's to tell alone.
func newer(host, own link.Mark) link.Mark {
	host.Pin, host.Namespace = "", 0
	if own.Link != "" && !own.IsNIC() {
		host.Spec, host.Lease, host.Lease6, host.Rules = own.Spec, own.Lease, own.Lease6, own.Rules
	}
	return host
}

// unproven is what an interface is taken for that bears the mark of one of the
// host's own without being known as such: what the caller says that it is. The
// error's stage is not that of a link that is somebody else's.
func (f finder) unproven(own link.Mark) (link.Mark, error) {
	switch s := f.spec; {
	case s.Force && (s.Link == nil || s.Link.String() == own.Link):
		return own, nil
	case s.Link != nil && !f.port.Mark.IsNIC():
		own.Link = s.Link.String()
		return own, nil
	}
	return own, f.fail(StageInterface, link.Unproven(&f.port, own))
}

// movedOn says whether the interface is one of the host's own that the guest had and
// has not any more, and that the Spec means: Unplug finds it all the same.
func (f finder) movedOn() bool {
	mark, was := link.RecordedNIC(f.guest.Handle, f.spec.Name)
	if !was || f.spec.Link != nil && f.spec.Link.String() != mark.Link {
		return false
	}
	b, err := link.FromMark(mark)
	if err == nil && f.spec.Link == nil {
		f.spec.Link = b
	}
	return err == nil
}

// find looks the interface up, reads its mark into the port, and makes sure
// that it is the one that the Spec means.
func (f finder) find(ctx context.Context) (*rtnl.Link, error) {
	l, err := f.lookUp(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		f.movedOn()
	}
	if err != nil {
		return nil, f.fail(StageInterface, err)
	}
	f.port.Name = l.Name
	mark, ours, err := f.owner(ctx, l)
	if another := errors.Is(err, fs.ErrPermission) || err == nil && (!ours || !mark.IsNIC()); another && f.movedOn() {
		return nil, f.fail(StageInterface, errs.New(fs.ErrNotExist, "%s is not in %s any more, and %s is in its place", f.spec.Link, f.guest.Name, l.Name))
	}
	if err != nil {
		return nil, err
	}
	if peer, is := link.PeerOf(l.Alias); is && !ours {
		return nil, f.fail(StageLink, errs.New(fs.ErrPermission, "the interface is the other end of %s of %s: leaving it alone; detach that", peer.Interface, peer.Guest.Name))
	}
	if !ours {
		return nil, f.fail(StageLink, errs.New(fs.ErrPermission, "pipework did not make this interface: leaving it alone"))
	}
	if mark.Link == link.Unmarked && f.spec.Link != nil {
		mark.Link = f.spec.Link.String()
	}
	if f.spec.Link == nil {
		if f.spec.Link, err = f.backend(mark); err != nil {
			return nil, f.fail(StageLink, err)
		}
	}
	if want := f.spec.Link; want != nil && want.String() != mark.Link {
		return nil, f.fail(StageLink, errs.New(fs.ErrInvalid, "the interface is plugged into %s, not %s", mark.Link, want))
	}
	f.port.Mark = mark
	return l, nil
}

// backend is what a mark names. For Check it is nil where that is of another package:
// what is in the guest can be compared all the same.
func (f finder) backend(m link.Mark) (link.Backend, error) {
	b, err := link.FromMark(m)
	if f.op == "check" && errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	return b, err
}
