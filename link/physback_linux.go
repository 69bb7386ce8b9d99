package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/namespaces"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// Unplug brings the interface back, also after the guest died. The host's record
// decides which it is, whatever it is called and bears by now, and in whichever
// namespace of a process it is. Without a record, an interface that bears the mark
// is an error that satisfies fs.ErrPermission, unless p.Force takes it for the one;
// see [Backend].
func (n Phys) Unplug(ctx context.Context, p *Port) error {
	if p.Conn != nil {
		if err := n.moveOut(ctx, p); err != nil {
			return err
		}
	}
	defer hold(ctx, p.Host.Lock)() // against those who recover it, too
	return n.recover(ctx, p)
}

// moveOut moves the interface back to the host, and puts it right there.
func (n Phys) moveOut(ctx context.Context, p *Port) error {
	recorded, err := recordedNICs(p.Guest.Handle, func(r *nic) bool {
		m := r.mark()
		return m.Link == n.String() && m.Interface == p.Mark.Interface
	})
	if err != nil {
		return err
	}
	there, err := locate(ctx, p.Guest.Handle, recorded)
	if err != nil {
		return err
	}
	links, err := rtnl.Links(ctx, p.Conn)
	if err != nil {
		return err
	}
	others := n.warnOfFalse(p, links, func(index int) bool { return there[index] != nil })
	for index, r := range there {
		if err := r.moveHome(ctx, p, p.Guest.Handle, index); err != nil {
			return err
		}
	}
	switch {
	case len(there) > 0:
		return nil
	case len(recorded) > 0:
		return n.fetch(ctx, p, recorded)
	case len(others) == 0: // back already
		return nil
	case !p.Force:
		return unproven(p, n)
	case len(others) > 1:
		return errs.New(fs.ErrPermission, "%s bear the mark of %s: take it from those that are not (ip link set dev NAME alias '')", names(others), n.Device)
	}
	return n.adopt(ctx, p, others[0])
}

// fetch brings the interface from wherever the guest moved it on to.
func (n Phys) fetch(ctx context.Context, p *Port, recorded []*nic) error {
	for _, r := range recorded {
		back, err := locate(ctx, p.Host.Handle, []*nic{r})
		if err != nil {
			return err
		}
		if len(back) > 0 {
			continue
		}
		found, err := r.fetch(ctx, p)
		switch {
		case err != nil:
			return err
		case found || p.Force: // what comes back later is still known
		case r.ends(): // deleted
			if err := r.remove(ctx); err != nil {
				return err
			}
		default:
			return errs.New(fs.ErrNotExist, "%s is neither in %s nor in a namespace that a process is in, or holds open: it comes back when its namespace ends (pipework gc); --force forgets it until then", n.Device, p.Guest.Name)
		}
	}
	return nil
}

// searches is how often fetch looks everywhere: a guest can move the interface meanwhile from
// where it was not looked for yet to where it was.
const searches = 3

// fetch looks for the interface in the namespaces of all processes, and in those that they
// hold open.
func (r *nic) fetch(ctx context.Context, p *Port) (found bool, err error) {
	for range searches {
		seen := map[ns.Inode]bool{p.Host.Inode(): true}
		found, err = r.fetchFromOne(ctx, p, namespaces.All(), seen)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// fetchFromOne looks for the interface in namespaces that were not seen yet.
func (r *nic) fetchFromOne(ctx context.Context, p *Port, in iter.Seq[ns.Target], seen map[ns.Inode]bool) (found bool, err error) {
	for t := range in {
		g, err := t.Open(ctx)
		if err != nil {
			continue // it ended, or is none of ours
		}
		if !seen[g.Inode()] {
			seen[g.Inode()] = true
			found, err = r.fetchFrom(ctx, p, g.Handle)
		}
		_ = g.Close()
		if found || err != nil {
			return found, err
		}
	}
	return false, context.Cause(ctx)
}

func (r *nic) fetchFrom(ctx context.Context, p *Port, from *ns.Handle) (found bool, err error) {
	there, err := locate(ctx, from, []*nic{r})
	for index := range there {
		return true, r.moveHome(ctx, p, from, index)
	}
	return false, err
}

// moveHome moves the interface with this index to the host, and makes sure that it
// was the one: between looking and moving the guest may have put another in its
// place. That goes back. The one is put right while the host's lock is held, from
// before the move on: nobody else finds it half-way, with its mark and under the name
// that nobody has. The caller does not hold the lock.
func (r *nic) moveHome(ctx context.Context, p *Port, from *ns.Handle, index int) error {
	conn, err := from.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	l, err := rtnl.LinkByIndex(ctx, conn, index)
	if err != nil {
		return err
	}
	if err := rtnl.DelAltNames(ctx, conn, index, without(l.AltNames, r.Was.AltNames)); err != nil {
		return err
	}
	defer hold(ctx, p.Host.Lock)()
	name := fmt.Sprintf("pw%08x", rand.Uint32())
	err = rtnl.Move(ctx, conn, index, rtnl.Place{Namespace: p.Host.Handle, Name: name})
	if errors.Is(err, unix.EEXIST) { // another has taken an altname: it keeps that
		left := without(l.AltNames, without(l.AltNames, r.Was.AltNames))
		if err = rtnl.DelAltNames(ctx, conn, index, left); err == nil {
			err = rtnl.Move(ctx, conn, index, rtnl.Place{Namespace: p.Host.Handle, Name: name})
		}
	}
	if immovable(err) {
		err = r.movePhy(ctx, l, phyPlace{from, conn, l.Name}, hostSide(p, name))
	}
	if err != nil {
		return fmt.Errorf("bring back %s: %w", r.Was.Name, err)
	}
	back, err := locate(ctx, p.Host.Handle, []*nic{r})
	for index := range back {
		return r.restoreAt(ctx, p.Host, index, p.Warn)
	}
	if err == nil {
		err = errs.New(fs.ErrPermission, "%s was exchanged for another interface while it was brought back: do it again", r.Was.Name)
	}
	return errs.Join(err, r.putBack(ctx, p, name, phyPlace{from, conn, l.Name}))
}

// putBack moves what came as name to where it was, unless a second look finds that it
// is the one after all: recover makes that what it was.
func (r *nic) putBack(ctx context.Context, p *Port, name string, to phyPlace) error {
	ctx, cancel := context.WithTimeout(fault.Off(ctx), undoTime)
	defer cancel()
	if back, err := locate(ctx, p.Host.Handle, []*nic{r}); len(back) > 0 && err == nil {
		return nil
	}
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, name)
	if err != nil {
		return err
	}
	return rtnl.Move(ctx, p.Host.Conn, l.Index, rtnl.Place{Namespace: to.space, Name: to.name})
}

// adopt takes a link that nothing but its mark speaks for.
func (n Phys) adopt(ctx context.Context, p *Port, l *rtnl.Link) error {
	m, _ := ParseMark(l.Alias)
	id, err := identify(ctx, p.Guest.Handle, l)
	if err != nil {
		return err
	}
	r := &nic{ID: id, Guest: p.Guest.Inode().Ino, Kind: l.Kind, Mark: m.String(), Was: n.pastOf(m, l)}
	if err := r.save(ctx); err != nil {
		return err
	}
	return r.moveHome(ctx, p, p.Guest.Handle, l.Index)
}

// pastOf is what the mark of an earlier version tells of the link, or else as good
// as nothing.
func (n Phys) pastOf(m Mark, l *rtnl.Link) past {
	if text, err := unseal(m.Link, m.Was); err == nil {
		if was, err := parsePast(text); err == nil {
			was.AltNames = l.AltNames
			return was
		}
	}
	return past{Name: n.Device, MAC: l.MAC, MTU: l.MTU, AltNames: l.AltNames}
}

// warnOfFalse returns the links that bear the mark of n and are not the interface.
func (n Phys) warnOfFalse(p *Port, links []*rtnl.Link, isTrue func(index int) bool) []*rtnl.Link {
	var bear []*rtnl.Link
	for _, l := range links {
		if m, ok := ParseMark(l.Alias); ok && m.Link == n.String() && !isTrue(l.Index) {
			bear = append(bear, l)
		}
	}
	if len(bear) > 0 && p.Guest.Inode() != p.Host.Inode() {
		p.Warn("%s in %s bears the mark of the host's %s and is another interface: it is ignored", names(bear), p.Guest.Name, n.Device)
	}
	return bear
}

func names(links []*rtnl.Link) string {
	var all []string
	for _, l := range links {
		all = append(all, charset.Shown(l.Name))
	}
	return strings.Join(all, ", ")
}

// unproven is the error of an interface that bears the mark of n and is not known
// to be n.
func unproven(p *Port, n Phys) error {
	return errs.New(fs.ErrPermission, "%s in %s bears the mark of the host's interface %s, and this host has no record that it is the one: leaving it alone (detach --force brings it to the host all the same)", charset.Shown(p.Name), p.Guest.Name, n.Device)
}

// Unproven is the error of an interface in the guest that bears the mark m of one of
// the host's own and is not among [NICs]. It satisfies fs.ErrPermission.
func Unproven(p *Port, m Mark) error {
	return unproven(p, Phys{Device: strings.TrimPrefix(m.Link, "phys:")})
}
