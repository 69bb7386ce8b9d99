package link

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// RemoveUnmarked removes from a guest the interface that a caller has a record of: it was
// plugged in by b, called p.Name, and had the MAC p.MAC. It is for what stands on an interface of the
// host and has no end there, such as a macvlan, once the guest has taken the mark from it, and
// perhaps the name. That it stands there the kernel tells, and no guest can make such a link
// itself; which it is, of others' such links, the name tells, or of kinds that do not share
// one the MAC. What bears a mark of pipework's and the name that this says stays. Of other
// kinds it does nothing. Of p it needs the Host and the Conn, too.
func RemoveUnmarked(ctx context.Context, p *Port, b Backend) error {
	on, kind := standsOn(b)
	if kind == "" {
		return nil
	}
	lower, err := rtnl.LinkByName(ctx, p.Host.Conn, on.name)
	if err == nil && on.vlan != 0 {
		lower, err = findVLAN(ctx, p.Host, on, lower)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // and what stood on it
	}
	if err != nil {
		return err
	}
	all, err := uppersIn(ctx, p.Host, p.Conn, lower, []string{kind})
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(l *rtnl.Link) bool {
		m, marked := ParseMark(l.Alias)
		return marked && m.Interface != p.Name && l.Name == m.Interface
	})
	is := func(l *rtnl.Link) bool {
		return l.Name == p.Name || (kind == "macvlan" || kind == "vlan") && bytes.Equal(l.MAC, p.MAC)
	}
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return nil
	}
	return rtnl.DelLinkByIndex(ctx, p.Conn, all[i].Index)
}

// IsUpper says whether a backend's interfaces stand on one of the host's, and have no end there
// nor a record of their own: those that [RemoveUnmarked] removes.
func IsUpper(b Backend) bool {
	_, kind := standsOn(b)
	return kind != ""
}

// standsOn is what a backend's interfaces stand on, and their kind; "" for other backends.
func standsOn(b Backend) (on parent, kind string) {
	switch b := b.(type) {
	case Macvlan:
		return b.parent(), "macvlan"
	case Ipvlan:
		return b.parent(), "ipvlan"
	case VLAN:
		return parent{name: b.Parent}, "vlan"
	case IPoIB:
		return parent{name: b.Parent}, "ipoib"
	}
	return parent{}, ""
}
