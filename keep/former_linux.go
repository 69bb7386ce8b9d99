package keep

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A former is what a guest had in a network namespace that is not its own any more, and
// that somebody else keeps: another container of the same network, a mount, an open file.
// Its interface has the guest's MAC and addresses. The record says which namespace that is,
// which no other can be taken for, and what was made there; or else the mark on the host's
// end of a pair does.
type former struct {
	plugger *Plugger
	record  *Record
}

// former is what the record's guest, which has the namespace now, may have elsewhere; nil:
// nothing.
func (p *Plugger) former(r *Record, now ns.Inode) *former {
	if r == nil || r.Attachment == nil || r.Namespace == nil || r.Namespace.Inode == now || r.Namespace.Boot != ns.BootID() {
		return nil
	}
	return &former{p, r}
}

// DetachFormer takes away what the guest, which is held open, had as this interface in a
// network namespace that it has no more, where something else keeps that: before it is
// plugged in again, with the same MAC and addresses. It says whether there was something.
func (p *Plugger) DetachFormer(ctx context.Context, g *ns.Guest, guest ns.Ref, iface string) (found bool, err error) {
	if p.Store == nil {
		return false, nil
	}
	r, err := p.Store.Get(guest, iface)
	if err != nil {
		return false, orNil(err)
	}
	if r.Phase == Intent && r.Before != nil {
		r = r.Before
	}
	return p.former(r, g.Inode()).detach(ctx)
}

// detach takes it away, and says whether it was there.
func (f *former) detach(ctx context.Context) (found bool, err error) {
	if f == nil {
		return false, nil
	}
	if stray, err := f.isStray(ctx); !stray || err != nil {
		return false, err
	}
	s, err := f.plugger.specOf(ctx, f.record)
	if err != nil {
		return false, err
	}
	g, err := f.record.Namespace.Open(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found, err = f.cut(ctx)
	case err == nil:
		found, g.Identity = true, f.record.Attachment.Guest
		defer func() { _ = g.Close() }()
	}
	if err == nil {
		a := f.plugger.attacher()
		a.Restored = nil // what comes back there is not the guest's any more
		err = pullOut(ctx, a, f.target(g), s)
	}
	if err == nil {
		err = f.awaitEnd(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("%s of %s is in the network namespace %s, too, which it had before and which lives on: %w", f.record.Interface, f.record.Guest, f.record.Namespace, err)
	}
	return found, nil
}

// target is the namespace, or, where it cannot be opened, the guest as one that is gone.
func (f *former) target(g *ns.Guest) pipework.Target {
	if g != nil {
		return g.Again()
	}
	return goneTarget{f.record.Guest}
}

// A goneTarget is a guest that is not there.
type goneTarget struct{ ns.Ref }

// Open fails.
func (t goneTarget) Open(context.Context) (*ns.Guest, error) {
	return nil, errs.New(fs.ErrNotExist, "the network namespace that %s had is gone", t.Ref)
}

// endTime bounds the wait for the kernel, which lets a namespace go some time after its last
// process and socket.
const endTime = time.Second

// awaitEnd waits until the interface is gone.
func (f *former) awaitEnd(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	for {
		left, err := f.exists(ctx)
		if !left || err != nil {
			return err
		}
		if pause.For(waiting, 5*time.Millisecond) != nil {
			return cmp.Or(context.Cause(ctx), errs.New(fs.ErrExist, "nothing tells what keeps it, as a process or a mount would: end that"))
		}
	}
}

// isStray says whether it is there, and in the namespace of no other guest: the one with
// the record's ID may run under another name by now, and another have its name.
func (f *former) isStray(ctx context.Context) (bool, error) {
	there, err := f.exists(ctx)
	if !there || err != nil {
		return false, err
	}
	byID, known := f.record.Guest.ByID()
	return !known || f.plugger.guests().observe(ctx, byID).inode != f.record.Namespace.Inode, context.Cause(ctx)
}

// exists says whether the namespace lives, and with it the interface. It asks the host
// alone, so that what is nearly always the answer, no, takes no search.
func (f *former) exists(ctx context.Context) (bool, error) {
	var is bool
	err := onhost.Do(ctx, f.plugger.Host, func(h link.Host) error {
		if end, err := f.hostEnd(ctx, h); end != nil || err != nil {
			is = end != nil
			return err
		}
		l, err := rtnl.LinkIn(ctx, h.Conn, f.record.Namespace.NSID, f.record.Attachment.Index)
		if err == nil {
			is = f.like(l)
		}
		return orNil(err)
	})
	return is, err
}

// like says whether the interface may be the one. A number may have gone to another
// namespace since.
func (f *former) like(l *rtnl.Link) bool {
	at := f.record.Attachment
	m, marked := link.ParseMark(l.Alias)
	return bytes.Equal(l.MAC, net.HardwareAddr(at.MAC)) || marked && m.Link == at.Link && m.Interface == f.record.Interface && m.Guest.Name == at.Guest.Name
}

// hostEnd is the host's end of the pair, whose mark only the host writes; nil: there is
// none that leads into the namespace.
func (f *former) hostEnd(ctx context.Context, h link.Host) (*rtnl.Link, error) {
	at := f.record.Attachment
	if at.HostName == "" || f.record.Namespace.NSID < 0 {
		return nil, nil
	}
	l, err := rtnl.LinkByName(ctx, h.Conn, at.HostName)
	if err != nil {
		return nil, orNil(err)
	}
	m, ours := link.ParseMark(l.Alias)
	if ours && l.Kind == "veth" && l.Foreign && l.NSID == f.record.Namespace.NSID && m.Interface == f.record.Interface && m.Link == at.Link && m.Guest.PID == at.Guest.PID {
		return l, nil
	}
	return nil, nil
}

// cut removes a pair by the host's end, and says whether there was one.
func (f *former) cut(ctx context.Context) (found bool, err error) {
	err = onhost.Do(ctx, f.plugger.Host, func(h link.Host) error {
		end, err := f.hostEnd(ctx, h)
		if end == nil || err != nil {
			return err
		}
		found = true
		return rtnl.DelLinkByIndex(ctx, h.Conn, end.Index)
	})
	return found, err
}

// elsewhere says whether the record's guest runs, in another namespace than the record has.
// Its runtime is asked only where its process of that time does not tell.
func elsewhere(ctx context.Context, p *Plugger, r *Record) bool {
	if r.Attachment == nil || r.Namespace == nil {
		return false
	}
	if r.ranIn(r.Namespace) {
		return false
	}
	now := p.guests().observe(ctx, r.Guest)
	return now.runs() && now.inode != r.Namespace.Inode
}

// former takes away what a guest that runs by now has elsewhere. Its record is locked.
func (c *collection) former(ctx context.Context, r *Record) error {
	f := c.plugger.former(r, ns.Inode{})
	if f == nil {
		return nil
	}
	if there, err := f.exists(ctx); !there || err != nil || !elsewhere(ctx, c.plugger, r) {
		return err
	}
	if stray, err := f.isStray(ctx); !stray || err != nil {
		return err
	}
	return c.take(r, "removed", "it is in the network namespace that the guest had before and something else keeps", func() error {
		_, err := f.detach(ctx)
		return err
	})
}
