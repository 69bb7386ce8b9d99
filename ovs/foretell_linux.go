package ovs

import (
	"context"

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
	if _, err := b.fits(j.on); err != nil || b.HostName == "" {
		return makes, err
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
