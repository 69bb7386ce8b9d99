package keep

import (
	"context"
	"net"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/link"
)

// removeUnmarked removes what the record is of where the guest has taken the mark from it, see
// [link.RemoveUnmarked]: a detach by the mark has not found it.
func (p *Plugger) removeUnmarked(ctx context.Context, t pipework.Target, r *Record) error {
	if r.Attachment == nil || !link.IsUpper(r.Spec.Link) {
		return nil
	}
	g, err := t.Open(ctx)
	if err != nil {
		return nil // with the guest it is gone
	}
	defer func() { _ = g.Close() }()
	c, err := g.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return onhost.Do(ctx, p.Host, func(h link.Host) error {
		return link.RemoveUnmarked(ctx, &link.Port{Host: h, Conn: c, Name: r.Interface, MAC: net.HardwareAddr(r.Attachment.MAC)}, r.Spec.Link)
	})
}
