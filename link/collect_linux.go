package link

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// Collect removes from the host what pipework made there and nobody uses any
// more, and returns the names: bridges and VLANs whose guests all died without
// being unplugged, IPoIB children that the kernel returned from dead guests, and
// what a killed call left behind. Interfaces of the host that were in a guest
// when it died become what they were before. It may be called at any time.
func Collect(ctx context.Context, h Host) (removed []string, err error) {
	removed, stuck := collectPhys(ctx, h) // which must not keep the rest
	defer func() { err = errors.Join(stuck, err) }()
	for _, kind := range []string{"ipoib", "macvlan", "ipvlan", "dummy"} {
		names, err := collect(ctx, h, kind, isOrphan)
		removed = append(removed, names...)
		if err != nil {
			return removed, err
		}
	}
	names, err := released(ctx, h, "bridge", func(name string) error { return Bridge{Name: name}.release(ctx, &Port{Host: h}) })
	removed = append(removed, names...)
	if err != nil {
		return removed, err
	}
	names, err = released(ctx, h, "vlan", func(name string) error { return releaseVLAN(ctx, h, name, madeVLAN) })
	return append(removed, names...), err
}

// isOrphan says whether a link of the host was in a guest that is gone, or was
// on its way into one: it bears a guest's mark and is down. One that was plugged
// into the host itself on purpose is up.
func isOrphan(l *rtnl.Link) bool {
	_, ours := ParseMark(l.Alias)
	return ours && !l.Up || l.Kind == "macvlan" && !l.Up && strings.HasPrefix(l.Name, claimPrefix)
}

// collect removes the links of a kind that want picks, while nobody is being
// plugged in.
func collect(ctx context.Context, h Host, kind string, want func(*rtnl.Link) bool) (removed []string, err error) {
	if names, err := pick(ctx, h, kind, want); err != nil || len(names) == 0 {
		return nil, err
	}
	defer hold(ctx, h.Lock)()
	names, err := pick(ctx, h, kind, want)
	for _, name := range names {
		if err := rtnl.DelLink(ctx, h.Conn, name); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	return removed, err
}

func pick(ctx context.Context, h Host, kind string, want func(*rtnl.Link) bool) (names []string, err error) {
	links, err := rtnl.LinksOfKind(ctx, h.Conn, kind)
	for _, l := range links {
		if want(l) {
			names = append(names, l.Name)
		}
	}
	return names, err
}

// released calls release for the links of a kind that pipework made for guests
// to share, and returns the names of those that are gone then.
func released(ctx context.Context, h Host, kind string, release func(name string) error) (gone []string, err error) {
	made := func(l *rtnl.Link) bool { return madeVLAN(l) || l.Alias == bridgeMark }
	before, err := pick(ctx, h, kind, made)
	if err != nil {
		return nil, err
	}
	for _, name := range before {
		if err := release(name); err != nil {
			return nil, err
		}
	}
	after, err := pick(ctx, h, kind, made)
	return slices.DeleteFunc(before, func(name string) bool { return slices.Contains(after, name) }), err
}
