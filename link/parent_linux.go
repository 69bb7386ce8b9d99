package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// plug makes the interface n in the guest on the parent, or on its VLAN.
func (a parent) plug(ctx context.Context, p *Port, u *Undo, n newLink) error {
	if a.vlan != 0 {
		defer hold(ctx, p.Host.RLock)()
	}
	lower, err := a.ensure(ctx, p, u)
	if err != nil {
		return err
	}
	if err := fitMTU(p, lower); err != nil {
		return err
	}
	n.parent = lower.Index
	err = n.plug(ctx, p, u)
	if claimed(ctx, p.Host, lower, err) {
		unclaim(ctx, p.Host, lower)
		err = n.plug(ctx, p, u)
	}
	return refused(err, lower, n.kind)
}

// fitMTU refuses an MTU above that of what the interface stands on, which is the default.
func fitMTU(p *Port, lower *rtnl.Link) error {
	if p.MTU > lower.MTU {
		return errs.New(fs.ErrInvalid, "MTU %d is more than that of %s, %d", p.MTU, lower.Name, lower.MTU)
	}
	if p.MTU == 0 {
		p.MTU = lower.MTU
	}
	return nil
}

// refused says what the error of an interface of this kind on lower means.
func refused(err error, lower *rtnl.Link, kind string) error {
	if errors.Is(err, unix.EBUSY) {
		return errs.New(fs.ErrInvalid, "%s takes no %s interface: it is a port of a bridge or bond, or carries another kind of such interfaces", lower.Name, kind)
	}
	if errors.Is(err, unix.EINVAL) && kind == "macvlan" {
		return fmt.Errorf("%w (perhaps one in mode passthru has %s for itself alone)", err, lower.Name)
	}
	return err
}

// claimed says whether the failure err came from a claim that a killed process
// left behind: see [whenUnused].
func claimed(ctx context.Context, h Host, lower *rtnl.Link, err error) bool {
	if !isUsed(err) {
		return false
	}
	_, err = rtnl.LinkByName(ctx, h.Conn, claimName(lower))
	return err == nil
}

// ensure finds what the guest's interface is to stand on, makes the VLAN where
// there is none, and sets it up.
func (a parent) ensure(ctx context.Context, p *Port, u *Undo) (*rtnl.Link, error) {
	l, err := a.find(ctx, p.Host)
	if err != nil {
		return nil, err
	}
	if err := raiseFor(ctx, p, u, l); err != nil || a.vlan == 0 {
		return l, err
	}
	return ensureVLAN(ctx, p, u, a, l)
}

// find finds the NIC.
func (a parent) find(ctx context.Context, h Host) (*rtnl.Link, error) {
	l, err := hostLink(ctx, h, a.name)
	if err == nil && l.Type != unix.ARPHRD_ETHER {
		return nil, errs.New(fs.ErrInvalid, "%s is no Ethernet interface: macvlan, ipvlan and VLANs need one", l.Name)
	}
	return l, err
}

// hostLink finds an interface of the host, or says which there are.
func hostLink(ctx context.Context, h Host, name string) (*rtnl.Link, error) {
	l, err := rtnl.LinkByName(ctx, h.Conn, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	all, err := rtnl.Links(ctx, h.Conn)
	if err != nil {
		return nil, err
	}
	return nil, errs.New(fs.ErrNotExist, "the host has no interface %s: it has %s", name, linkNames(all))
}

// linkNames are the names of links for a message: 20 at most, and not those of
// guests' host ends.
func linkNames(links []*rtnl.Link) string {
	var names []string
	for _, l := range links {
		if _, ours := ParseMark(l.Alias); !ours {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	if more := len(names) - 20; more > 0 {
		names = append(names[:20], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// raiseFor is raise for an interface that is not there yet.
func raiseFor(ctx context.Context, p *Port, u *Undo, l *rtnl.Link) error {
	if l.Up {
		return nil
	}
	if err := free(ctx, p); err != nil {
		return err
	}
	return raise(ctx, p, u, l)
}

// raise sets an interface of the host up. It stays up after Unplug: others may
// have come to use it.
func raise(ctx context.Context, p *Port, u *Undo, l *rtnl.Link) error {
	u.Push("up "+l.Name, func(ctx context.Context) error {
		return whenUnused(ctx, p.Host, l, func() error { return rtnl.SetDown(ctx, p.Host.Conn, l.Index) })
	})
	return rtnl.SetLink(ctx, p.Host.Conn, l.Name, "")
}

// check finds the guest's interface, of this kind, and what it stands on.
func (a parent) check(ctx context.Context, p *Port, kind string) (l *rtnl.Link, drifts []Drift, err error) {
	if l, err = checkKind(ctx, p, kind); err != nil {
		return nil, nil, err
	}
	lower, err := hostLink(ctx, p.Host, a.name)
	if err != nil {
		return nil, nil, err
	}
	drifts = append(drifts, raised(p, lower)...)
	if a.vlan != 0 {
		if lower, err = findVLAN(ctx, p.Host, a, lower); err != nil {
			return nil, nil, err
		}
		drifts = append(drifts, raised(p, lower)...)
		if madeVLAN(lower) {
			drifts = append(drifts, routerDrifts(p, lower)...)
		}
	}
	if l.Parent != lower.Index {
		return nil, nil, errs.New(fs.ErrInvalid, "%s in %s does not stand on %s: detach it first", p.Name, p.Guest.Name, lower.Name)
	}
	return l, drifts, nil
}

// raised is the drift of an interface on the host that is down.
func raised(p *Port, l *rtnl.Link) []Drift {
	if l.Up {
		return nil
	}
	return []Drift{{What: l.Name + " on the host is down", Mend: func(ctx context.Context, u *Undo) error { return raise(ctx, p, u, l) }}}
}

// unplug removes the guest's interface, and the VLAN where nobody else uses it.
func (a parent) unplug(ctx context.Context, p *Port) error {
	if err := unplugLink(ctx, p); err != nil || a.vlan == 0 {
		return err
	}
	return releaseVLAN(ctx, p.Host, vlanName(a), madeVLAN)
}
