package watch

import (
	"context"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
)

// uplinkLeases keeps the leases of the host's own that uplinks have taken over from DHCP clients.
type uplinkLeases struct {
	plugger *keep.Plugger
	keeper  *dhcp.Keeper
	kept    map[string]func() // who ends keeping one, by bridge and client identifier
	gone    chan string       // of those that ended by themselves
	log     logger
}

// follow keeps those that the records tell of, and no others.
func (u *uplinkLeases) follow(ctx context.Context) {
	for len(u.gone) > 0 {
		delete(u.kept, <-u.gone)
	}
	all, err := uplink.Leases(ctx, u.plugger.Store, u.plugger.Host)
	if err != nil {
		return // which the uplinks tell
	}
	told := map[string]bool{}
	for _, kept := range all {
		key := kept.Interface + " " + string(kept.Config.ClientID)
		told[key] = true
		if u.kept[key] != nil {
			continue
		}
		kept.Event = func(e dhcp.Event) { u.event(ctx, key, e) }
		end, err := u.keeper.Add(ctx, kept)
		if err != nil {
			u.log.warn(ctx, "lease not kept", "interface", kept.Interface, "error", err)
			continue
		}
		u.log.info("lease kept", "interface", kept.Interface, "address", kept.Lease.Addr.Addr().String())
		u.kept[key] = end
	}
	for key, end := range u.kept {
		if !told[key] {
			end()
			delete(u.kept, key)
		}
	}
}

func (u *uplinkLeases) event(ctx context.Context, key string, e dhcp.Event) {
	switch e.Kind {
	case dhcp.Renewed:
	case dhcp.Ended:
		select {
		case u.gone <- key:
		default:
		}
	default:
		u.log.warn(ctx, "lease "+string(e.Kind), "interface", e.Interface, "reason", e.Reason)
	}
}
