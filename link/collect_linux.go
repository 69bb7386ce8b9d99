package link

import (
	"context"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link/firewall"
	"github.com/go-pipework/pipework/ns"
)

// Collect removes from the host what pipework made there and nobody uses any
// more, and returns what: bridges and VLANs whose guests all died without
// being unplugged, IPoIB children that the kernel returned from dead guests, the
// firewall's rules for bridges without guests, the table of pins without any, and what a
// killed call left behind. Interfaces of the host that were in a guest when it died become
// what they were before. It may be called at any time. When ctx ends, what has begun is
// finished, for up to ten seconds.
func Collect(ctx context.Context, h Host) ([]Collected, error) {
	late, end := finish.Context(ctx) // what has begun is finished, and nothing more is begun
	defer end()
	c := collect(ctx, h)
	err := c.run(late)
	return c.all, err
}

// Orphans returns what [Collect] would remove, or bring back. It
// changes nothing that stays: to ask the kernel who uses a VLAN, it makes a
// macvlan on it that is gone again when it returns.
func Orphans(ctx context.Context, h Host) ([]Collected, error) {
	c := collection{Host: h, dry: true}
	err := c.run(ctx)
	return c.all, err
}

// A collection is one call of Collect, or of Orphans.
type collection struct {
	Host
	dry     bool
	stopped func() error // why nothing more is to be begun
	all     []Collected
}

// collect is a collection that begins nothing more when ctx has ended.
func collect(ctx context.Context, h Host) collection {
	return collection{Host: h, stopped: func() error { return context.Cause(ctx) }}
}

// run goes on after a failure: what is stuck must not keep the rest.
func (c *collection) run(ctx context.Context) error {
	failed := []error{c.nics(ctx)}
	for _, kind := range []string{"ipoib", "macvlan", "ipvlan", "dummy", "vlan"} {
		failed = append(failed, c.orphans(ctx, kind, isOrphan))
	}
	return errs.Join(append(failed, c.bridges(ctx), c.rules(ctx), c.vlans(ctx), c.pins(ctx))...)
}

// take notes what is collected, and does what is to be done about it.
func (c *collection) take(what Collected, f func() error) error {
	if !c.dry {
		if err := c.stopped(); err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
	c.all = append(c.all, what)
	return nil
}

// isOrphan says whether a link of the host was in a guest that is gone, or was
// on its way into one: it bears a guest's mark, or none yet, and is down. One that
// was plugged into the host itself on purpose is up. One that Docker is going to move into its
// container is on the host only for that, and `pipework docker-driver` sees to it.
func isOrphan(l *rtnl.Link) bool {
	m, ours := ParseMark(l.Alias)
	if ours && strings.HasPrefix(m.Guest.Name, string(ns.DockerNetwork)+":") {
		return false
	}
	return !l.Up && (ours || l.Unfinished() || l.Kind == "macvlan" && strings.HasPrefix(l.Name, claimPrefix))
}

// orphans removes the links of a kind that want picks, while nobody is being plugged in,
// nor comes home. A NIC of the host's that came home and is not what it was yet is no orphan.
func (c *collection) orphans(ctx context.Context, kind string, want func(*rtnl.Link) bool) error {
	if names, err := pick(ctx, c.Host, kind, want); err != nil || len(names) == 0 {
		return err
	}
	defer hold(ctx, c.Lock)()
	home, err := returned(ctx, c.Host)
	if err != nil {
		return err
	}
	names, err := pick(ctx, c.Host, kind, func(l *rtnl.Link) bool { return want(l) && home[l.Index] == nil })
	for _, name := range names {
		what := Collected{Done: "removed", Kind: kind, Name: name, Why: "its guest has ended, or the call that made it was killed"}
		err = errs.Join(err, c.take(what, func() error { return rtnl.DelLink(ctx, c.Conn, name) }))
	}
	return err
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

// unused is why a bridge or a VLAN is collected.
const unused = "no guest uses it any more"

// bridges removes the bridges that pipework made and nobody uses.
func (c *collection) bridges(ctx context.Context) error {
	names, err := pick(ctx, c.Host, "bridge", madeBridge)
	for _, name := range names {
		b := Bridge{Name: name}
		err = errs.Join(err, b.ifUnused(ctx, c.Host, madeBridge, func() error {
			return c.take(Collected{Done: "removed", Kind: "bridge", Name: name, Why: unused}, func() error { return b.remove(ctx, c.Host) })
		}))
	}
	return err
}

// rules removes the firewall's rules for bridges of other people's that have no guest
// of ours any more, and for bridges that are gone.
func (c *collection) rules(ctx context.Context) error {
	names, err := firewall.Bridges(ctx, enter(c.Host))
	for _, name := range names {
		err = errs.Join(err, c.rule(ctx, Bridge{Name: name}))
	}
	return err
}

func (c *collection) rule(ctx context.Context, b Bridge) error {
	defer hold(ctx, c.Lock)()
	unused, err := b.ruleUnused(ctx, c.Host)
	if err != nil || !unused {
		return err
	}
	return c.take(Collected{Done: "removed", Kind: "firewall rule", Name: b.Name, Why: "the bridge has no guest any more, or is gone"}, func() error { return b.firewall(c.Host).Remove(ctx) })
}

// vlans removes the VLAN interfaces that pipework made and nobody uses.
func (c *collection) vlans(ctx context.Context) error {
	links, err := rtnl.LinksOfKind(ctx, c.Conn, "vlan")
	for _, l := range links {
		if !madeVLAN(l) {
			continue
		}
		err = errs.Join(err, whenUnused(ctx, c.Host, l, func() error {
			return c.take(Collected{Done: "removed", Kind: "vlan", Name: l.Name, Why: unused}, func() error { return rtnl.DelLink(ctx, c.Conn, l.Name) })
		}))
	}
	return err
}

// pins removes the table of pins that no guest has any more.
func (c *collection) pins(ctx context.Context) error {
	return portsUnused(ctx, c.Host, func() error {
		what := Collected{Done: "removed", Kind: "nftables table", Name: firewall.PortsTable, Why: "no guest is pinned any more"}
		return c.take(what, func() error { return pinPorts(c.Host).Release(ctx) })
	})
}
