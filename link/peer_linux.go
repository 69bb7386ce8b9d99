package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// A peer is the other guest of a pair, held open.
type peer struct {
	*ns.Guest
	conn *ns.Conn // opened inside it
}

// openPeer finds the other guest. The guest itself and the host are refused.
func (v Veth) openPeer(ctx context.Context, p *Port) (*peer, error) {
	if p.Guest.Inode() == p.Host.Inode() {
		return nil, errs.New(fs.ErrInvalid, "the host is no guest of a pair: plug veth:NAME into %s", v.Peer)
	}
	g, err := p.Host.find(v.Peer).Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("the pair's other guest: %w", err)
	}
	o := &peer{Guest: g}
	switch g.Inode() {
	case p.Host.Inode():
		err = errs.New(fs.ErrPermission, "the pair's other guest %s uses the host's own network: for a pair to the host write veth:NAME", v.Peer)
	case p.Guest.Inode():
		err = errs.New(fs.ErrInvalid, "the pair's other guest %s is the guest itself: name another one", v.Peer)
	default:
		o.conn, err = g.Conn(ctx)
	}
	if err != nil {
		_ = g.Close()
		return nil, err
	}
	return o, nil
}

func (o *peer) close() {
	_ = o.conn.Close()
	_ = o.Guest.Close()
}

// end is the other end of the guest's p.Name, whatever it is called. That it is in this
// peer the guest's kernel tells. Where it is not, the error satisfies fs.ErrNotExist.
func (o *peer) end(ctx context.Context, p *Port) (*rtnl.Link, error) {
	guest, err := checkKind(ctx, p, "veth")
	if err != nil {
		return nil, err
	}
	id, err := rtnl.NSID(ctx, p.Conn, o.Handle)
	if err != nil {
		return nil, err
	}
	if !guest.Foreign || id < 0 || guest.NSID != id {
		return nil, errs.New(fs.ErrNotExist, "the other end of %s is not in %s", guest.Name, o.Name)
	}
	return rtnl.LinkByIndex(ctx, o.conn, guest.Parent)
}

// onPeer calls f with the other end of the guest's p.Name, while the other guest is open.
func (v Veth) onPeer(ctx context.Context, p *Port, f func(*peer, *rtnl.Link) error) error {
	o, err := v.openPeer(ctx, p)
	if err != nil {
		return err
	}
	defer o.close()
	end, err := o.end(ctx, p)
	if err != nil {
		return err
	}
	return f(o, end)
}

// plugPeer makes the pair in one message, which comes from inside the guest: both ends
// are born where they belong. Nobody needs to lock the other guest: the kernel refuses a
// name that is taken there.
func (v Veth) plugPeer(ctx context.Context, p *Port, u *Undo) error {
	o, err := v.openPeer(ctx, p)
	if err != nil {
		return err
	}
	defer o.close()
	err = rtnl.Veth{
		Here: rtnl.End{Name: p.Name, MAC: p.MAC, MTU: p.MTU},
		// Only the guest's end says that it is unfinished: whoever works on the other guest
		// must not remove what is just being made.
		There:     rtnl.End{Name: v.PeerName, MAC: RandomMAC(), MTU: p.MTU, Finished: true},
		Namespace: o.Handle,
	}.Add(ctx, p.Conn)
	if errors.Is(err, unix.EEXIST) {
		return v.taken(ctx, p, o)
	}
	if err != nil {
		return newLinkError(err, "veth", "CONFIG_VETH", p)
	}
	p.Made = p.MTU > 0
	u.Push("veth "+p.Name, func(ctx context.Context) error { return rtnl.DelLink(ctx, p.Conn, p.Name) })
	end, err := o.end(ctx, p)
	if err != nil {
		return err
	}
	if err := v.configure(ctx, p, o, end); err != nil {
		return err
	}
	return o.Alive()
}

// taken tells which of the two names is taken. That of the other guest's is not
// fs.ErrExist, which is of the guest's own.
func (v Veth) taken(ctx context.Context, p *Port, o *peer) error {
	if _, err := rtnl.LinkByName(ctx, p.Conn, p.Name); !errors.Is(err, fs.ErrNotExist) {
		return taken(p, err)
	}
	return v.peerTaken(o)
}

func (v Veth) peerTaken(o *peer) error {
	return fmt.Errorf("%s has an interface %s already: choose another name for the pair's other end", o.Name, v.PeerName)
}

// configure brings the other end up, marked, with its addresses. The other guest is to
// learn no routes from this one.
func (v Veth) configure(ctx context.Context, p *Port, o *peer, end *rtnl.Link) error {
	err := o.Do(ctx, func() error {
		if slices.ContainsFunc(v.PeerAddrs, func(a netip.Prefix) bool { return a.Addr().Is6() }) {
			if err := rtnl.EnableIPv6(ctx, end.Name); err != nil {
				return err
			}
		}
		return rtnl.IgnoreAdvertisements(ctx, end.Name)
	})
	if errors.Is(err, fs.ErrPermission) {
		p.Warn("%s follows router advertisements that come in by %s: %v", o.Name, end.Name, err)
	} else if err != nil {
		return err
	}
	if err := rtnl.FinishPlain(ctx, o.conn, end.Name, p.Mark.peerAlias(), 0); err != nil {
		return err
	}
	return addEndAddrs(ctx, o.conn, end, v.PeerAddrs)
}

// checkPeer compares the end in the other guest with what is asked for.
func (v Veth) checkPeer(ctx context.Context, p *Port) (drifts []Drift, err error) {
	if _, err := checkKind(ctx, p, "veth"); err != nil {
		return nil, err
	}
	found, astray, err := v.findEnd(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist): // of the other guest: fs.ErrNotExist would be of this one
		return []Drift{{What: err.Error()}}, nil
	case err != nil:
		return nil, err
	case astray != nil:
		return []Drift{*astray}, nil
	}
	m, marked := PeerOf(found.Alias)
	if marked && m.Interface != p.Mark.Interface {
		return []Drift{{What: fmt.Sprintf("the other end of %s is %s in %s, which is that of %s", p.Name, found.Name, v.Peer, m.Interface)}}, nil
	}
	end := otherEnd{link: found, what: found.Name + " in " + v.Peer.String(), do: func(ctx context.Context, f func(*ns.Conn) error) error {
		return v.onPeer(ctx, p, func(o *peer, now *rtnl.Link) error {
			if now.Index != found.Index {
				return errs.New(fs.ErrInvalid, "the other end of %s has changed meanwhile", p.Name)
			}
			return f(o.conn)
		})
	}}
	addrs, err := end.addrDrifts(ctx, v.PeerAddrs, p.Exact)
	return append(v.stateDrifts(p, end), addrs...), err
}

// findEnd finds the end in the other guest, or tells that it is astray: the pair has to be
// recreated then, as far as its name is free there.
func (v Veth) findEnd(ctx context.Context, p *Port) (end *rtnl.Link, astray *Drift, err error) {
	o, err := v.openPeer(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	defer o.close()
	end, gone := o.end(ctx, p)
	if !errors.Is(gone, fs.ErrNotExist) {
		return end, nil, gone
	}
	_, free := rtnl.LinkByName(ctx, o.conn, v.PeerName)
	if free != nil && !errors.Is(free, fs.ErrNotExist) {
		return nil, nil, free
	}
	return nil, &Drift{What: gone.Error(), Recreate: free != nil}, nil
}

// stateDrifts tells what differs beside addresses. A name that somebody in the other
// guest has changed is left so.
func (v Veth) stateDrifts(p *Port, e otherEnd) (drifts []Drift) {
	l := e.link
	if l.Name != v.PeerName {
		drifts = append(drifts, Drift{What: fmt.Sprintf("%s is called %s in %s", v.PeerName, l.Name, v.Peer)})
	}
	if !l.Up {
		drifts = append(drifts, e.drift(e.what+" is down",
			func(ctx context.Context, c *ns.Conn) error { return rtnl.SetLink(ctx, c, l.Name, "") },
			func(ctx context.Context, c *ns.Conn) error { return rtnl.SetDown(ctx, c, l.Index) }))
	}
	if _, marked := PeerOf(l.Alias); !marked {
		mark := p.Mark.peerAlias()
		drifts = append(drifts, e.drift(e.what+" has lost its mark",
			func(ctx context.Context, c *ns.Conn) error { return rtnl.SetAlias(ctx, c, l.Index, mark) },
			func(ctx context.Context, c *ns.Conn) error { return rtnl.SetAlias(ctx, c, l.Index, l.Alias) }))
	}
	if p.MTU != 0 && l.MTU != p.MTU {
		drifts = append(drifts, e.drift(fmt.Sprintf("MTU of %s is %d instead of %d", e.what, l.MTU, p.MTU),
			func(ctx context.Context, c *ns.Conn) error { return rtnl.SetMTU(ctx, c, l.Index, p.MTU) },
			func(ctx context.Context, c *ns.Conn) error { return rtnl.SetMTU(ctx, c, l.Index, l.MTU) }))
	}
	return drifts
}

// drift is mended by one change of the end, and taken back by the other.
func (e otherEnd) drift(what string, set, back func(context.Context, *ns.Conn) error) Drift {
	return Drift{What: what, Mend: func(ctx context.Context, u *Undo) error {
		u.Push(e.what, func(ctx context.Context) error { return e.do(ctx, func(c *ns.Conn) error { return back(ctx, c) }) })
		return e.do(ctx, func(c *ns.Conn) error { return set(ctx, c) })
	}}
}

// peerTime bounds what is done in the other guest when the pair is removed, which works
// without that, too.
const peerTime = 5 * time.Second

// unplugPeer removes the pair by its end in the other guest, or else by the guest's own.
// The former counts more: whoever has put something in the place of the guest's end does
// not keep the pair. Where the other guest is gone the pair is, too.
func (v Veth) unplugPeer(ctx context.Context, p *Port) error {
	if p.Conn == nil {
		return nil
	}
	looking, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	if o, err := v.openPeer(looking, p); err == nil {
		defer o.close()
		if gone, err := o.unplug(looking, p); gone && err == nil {
			return nil
		}
	}
	return unplugLink(ctx, p)
}

// unplug removes the pairs whose ends here say that they are of the guest's interface,
// and whose other ends are in the guest, as the kernel tells. The mark alone, which this
// guest may write, is not enough.
func (o *peer) unplug(ctx context.Context, p *Port) (gone bool, err error) {
	links, err := rtnl.LinksOfKind(ctx, o.conn, "veth")
	if err != nil {
		return false, err
	}
	id, err := rtnl.NSID(ctx, o.conn, p.Guest.Handle)
	if err != nil {
		return false, err
	}
	for _, l := range links {
		m, marked := PeerOf(l.Alias)
		if !marked || m.Interface != p.Mark.Interface || !l.Foreign {
			continue
		}
		if id < 0 || l.NSID != id {
			if m.Guest.Name == p.Guest.Name && m.Guest.PID == p.Guest.PID {
				p.Warn("%s in %s says that it is the other end of %s, which %s has moved on: where that is so, remove it there", l.Name, o.Name, m.Interface, p.Guest.Name)
			}
			continue
		}
		if err := rtnl.DelLinkByIndex(ctx, o.conn, l.Index); err != nil {
			return gone, err
		}
		gone = true
	}
	return gone, nil
}

// Check looks at the guest's end alone; see [Backend].
func (pairByMark) Check(ctx context.Context, p *Port) ([]Drift, error) {
	_, err := checkKind(ctx, p, "veth")
	return nil, err
}

// Unplug removes the pair by the guest's end.
func (pairByMark) Unplug(ctx context.Context, p *Port) error { return unplugLink(ctx, p) }
