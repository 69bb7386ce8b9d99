package dhcp

import (
	"context"
	"net/netip"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// awaitSLAAC is [AwaitSLAAC].
func awaitSLAAC(ctx context.Context, guest *ns.Handle, index int) (found []netip.Prefix, err error) {
	conn, err := guest.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	events, err := rtnl.Listen(ctx, guest)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	err = events.Until(ctx, func() (bool, error) {
		addrs, err := rtnl.Addrs(ctx, conn, index)
		for _, a := range addrs {
			if a.Advertised() {
				found = append(found, a.Prefix)
			}
		}
		return len(found) > 0, err
	})
	return found, err
}
