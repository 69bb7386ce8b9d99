package uplink

import (
	"context"

	"github.com/go-pipework/pipework/internal/hostconf"
)

// A ConfigFile is a file of a network manager's: its path, its text, and whether it stands in
// place of all others, for who wants the manager to leave the NIC alone.
type ConfigFile = hostconf.File

// Config is what makes a network manager of the host put the NIC under the bridge at each start of
// the machine, with the MAC, and the addresses and routes that nobody else gives, as they are now. The
// manager is networkd, netplan, NetworkManager or ifupdown; another one is fs.ErrInvalid, and
// what it cannot do errors.ErrUnsupported. Nothing is written. Store may be nil.
func Config(ctx context.Context, p Plan, manager string) ([]ConfigFile, error) {
	return p.plain().config(ctx, manager)
}
