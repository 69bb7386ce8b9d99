package ovs

import (
	"context"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// Foretell is what Plug would refuse; see [link.Foreteller].
func (b Bridge) Foretell(ctx context.Context, p *link.Port) (makes []string, err error) {
	s, end := b.Client.session()
	defer end()
	j := newJoining(b, p)
	missing, err := j.lookAtBridge(ctx, s)
	if err != nil {
		return nil, err
	}
	if missing {
		makes = []string{"bridge " + b.Name + " of Open vSwitch"}
	}
	if _, err := b.fits(j.on); err != nil {
		return makes, err
	}
	if p.Pin != nil && !missing {
		if err := j.pinnable(ctx, s); err != nil {
			return nil, err
		}
	}
	if b.HostName == "" {
		return makes, nil
	}
	if err := link.ForetellVeth(ctx, p, b.HostName); err != nil {
		return nil, err
	}
	p.HostName = b.HostName
	if err := lookAtNames(ctx, s, []*joining{j}); err != nil {
		return nil, err
	}
	return makes, j.err
}

// pinnable says why the guest cannot be pinned on the bridge.
func (j *joining) pinnable(ctx context.Context, s *Client) error {
	got, err := s.transact(ctx, "find bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Has("name", j.on.name), pinColumns...),
		ovsdb.Select("Open_vSwitch", theRow(), "other_config"),
	})
	if err != nil {
		return err
	}
	return cannotPin(j.Bridge, got[0].First(), got[1].First().Texts("other_config")["vlan-limit"])
}
