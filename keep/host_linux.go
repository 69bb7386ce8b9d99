package keep

import (
	"context"

	"github.com/go-pipework/pipework/ns"
)

// onHost calls f with the namespace that the Attacher works on.
func (p *Plugger) onHost(ctx context.Context, f func(host) error) error {
	h := p.Host
	if h == nil {
		current, err := ns.Current()
		if err != nil {
			return err
		}
		defer func() { _ = current.Close() }()
		h = current
	}
	conn, err := h.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return f(host{Handle: h, Conn: conn})
}
