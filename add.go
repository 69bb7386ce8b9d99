//go:build linux

package pipework

import (
	"context"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// add gives l, which another Spec made, the addresses and gateways of this one.
// The mark stays the first Spec's. What drifted of the link is mended; what another
// Spec may have chosen is not changed, but refused.
func (j *job) add(ctx context.Context, l *rtnl.Link, mark link.Mark) (*Attachment, error) {
	asked := j.port.Mark.Link
	j.port.Mark, j.port.Index, j.port.MAC = mark, l.Index, l.MAC
	if mark.Link != asked {
		return nil, j.inUse("it is plugged into " + mark.Link)
	}
	drifts, err := j.spec.Link.Check(ctx, &j.port)
	if err != nil {
		return nil, j.fail("link", err)
	}
	var differs []string
	drifts = append(drifts, j.linkDrifts(l)...)
	for _, d := range drifts {
		if d.Chosen {
			differs = append(differs, d.What)
		}
	}
	if j.spec.asks(dhcp.IPv4) && mark.Lease == "" || j.spec.asks(dhcp.IPv6) && mark.Lease6 == "" {
		differs = append(differs, "it has no lease")
	}
	policy, err := j.policyDrifts(ctx, l)
	if err != nil {
		return nil, err
	}
	if len(policy) > 0 {
		differs = append(differs, "rules and shaping cannot be added")
	}
	if len(differs) > 0 {
		return nil, j.inUse(strings.Join(differs, ", "))
	}
	mended, err := j.mendAll(ctx, drifts)
	if err != nil {
		return nil, err
	}
	added, err := j.addMissing(ctx, l)
	if err != nil {
		return nil, err
	}
	out, err := j.refreshed(ctx, l)
	if err != nil {
		return nil, err
	}
	out.Existed, out.Mended, out.Added = true, mended, added
	return out, nil
}

// policyDrifts tells of rules and shaping that the interface lacks.
func (j *job) policyDrifts(ctx context.Context, l *rtnl.Link) ([]link.Drift, error) {
	rules, err := j.ruleDrifts(ctx, l)
	if err != nil {
		return nil, j.fail("route", err)
	}
	shapes, err := j.shapeDrifts(ctx, l)
	if err != nil {
		return nil, j.fail("link", err)
	}
	return append(rules, shapes...), nil
}

// inUse refuses to change the interface.
func (j *job) inUse(why string) error {
	return j.fail("link", errs.New(fs.ErrExist, "the guest has an interface %s already, and not as this asks (%s): detach it first", j.spec.Name, why))
}

// addMissing adds what the interface lacks.
func (j *job) addMissing(ctx context.Context, l *rtnl.Link) (added []netip.Prefix, err error) {
	have, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return nil, j.fail("address", err)
	}
	for _, p := range j.spec.Addrs {
		if hasAddr(have, p) {
			continue
		}
		j.log(ctx, "address", "add", p)
		if err := j.addAddr(ctx, l, p); err != nil {
			return nil, j.fail("address", err)
		}
		j.undo.Push("address "+p.String(), func(ctx context.Context) error { return rtnl.DelAddr(ctx, j.port.Conn, l.Index, p) })
		added = append(added, p)
	}
	for _, g := range j.spec.Gateways {
		if err := j.addGateway(ctx, l, g); err != nil {
			return nil, j.fail("route", err)
		}
	}
	routes, err := j.ownRouteDrifts(ctx, l)
	for i := 0; err == nil && i < len(routes); i++ {
		err = routes[i].Mend(ctx, &j.undo)
	}
	if err != nil {
		return nil, j.fail("route", err)
	}
	return added, nil
}

// addGateway leaves a default route through the interface as it is.
func (j *job) addGateway(ctx context.Context, l *rtnl.Link, g netip.Addr) error {
	now, err := rtnl.Defaults(ctx, j.port.Conn, rtnl.Family(g), unix.RT_TABLE_MAIN)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(now, func(r rtnl.Route) bool { return r.Index == l.Index })
	switch {
	case i < 0:
		_, err = j.replaceDefault(ctx, l.Index, g)
		return err
	case now[i].Gateway != g:
		return j.inUse("its default route goes via " + now[i].Gateway.String())
	}
	return nil
}
