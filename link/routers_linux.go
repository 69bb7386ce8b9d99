package link

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// ignoreRouters keeps the host from believing what guests say about addresses and
// routes on an interface that pipework makes there: one router advertisement would
// give the host an address, and a default route through the guest (CVE-2020-13401).
func ignoreRouters(ctx context.Context, p *Port, name string) error {
	return p.setOnHost(ctx, name, rtnl.IgnoreRouters)
}

// setOnHost calls set for an interface of the host. Where /proc/sys is read-only, as
// in a container that has CAP_NET_ADMIN only, it warns.
func (p *Port) setOnHost(ctx context.Context, name string, set func(context.Context, string) error) error {
	err := enter(p.Host)(ctx, func() error { return set(ctx, name) })
	if errors.Is(err, fs.ErrPermission) {
		p.Warn("the host follows router advertisements that come in by %s: %v", name, err)
		return nil
	}
	return err
}

// routerDrifts finds an interface that pipework made on the host before it set this.
func routerDrifts(p *Port, l *rtnl.Link) []Drift {
	if !l.TakesAdvertisements() {
		return nil
	}
	return []Drift{{What: "the host follows router advertisements on " + l.Name, Mend: func(ctx context.Context, _ *Undo) error {
		return ignoreRouters(ctx, p, l.Name)
	}}}
}
