package uplink

import (
	"context"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// Leases are the leases that moves with Plan.DHCP have taken over, as the store's records of this
// host tell: for a dhcp.Keeper to keep them on the bridges. Each has what it takes; Event may be
// set. Package watch keeps them by itself. A store that is nil has none.
func Leases(ctx context.Context, store *keep.Store, host *ns.Handle) ([]dhcp.Kept, error) {
	if store == nil {
		return nil, nil
	}
	return leases(ctx, store, host)
}
