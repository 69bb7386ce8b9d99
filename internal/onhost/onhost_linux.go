package onhost

import (
	"context"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Do calls f with the namespace h; nil stands for the one that this process is in.
func Do(ctx context.Context, h *ns.Handle, f func(link.Host) error) error {
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
	return f(link.Host{Handle: h, Conn: conn})
}
