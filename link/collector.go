package link

import (
	"context"
	"fmt"

	"github.com/go-pipework/pipework/ns"
)

// A Collected is one thing that a killed call or a dead guest left, and what was done about
// it, or would be.
type Collected struct {
	// Done is what was done: removed, brought home, put right, forgotten.
	Done string `json:"done"`
	// Kind is what it is: a kind of link as ip-link(8) has it (bridge, vlan, macvlan), NIC,
	// firewall rule, nftables table, OVS port, or interface, of a guest.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Guest is whose interface it is; zero for what is on the host.
	Guest ns.Ref `json:"guest,omitzero"`
	// Why says how it is known that nobody uses it.
	Why string `json:"why"`
}

// String is c on one line: "bridge br1 removed: no guest uses it any more".
func (c Collected) String() string { return c.text("") }

// Would is String for what [Collector].Orphans returns: "bridge br1 would be removed: …".
func (c Collected) Would() string { return c.text("would be ") }

func (c Collected) text(would string) string {
	of := ""
	if c.Guest != (ns.Ref{}) {
		of = " of " + c.Guest.String()
	}
	return fmt.Sprintf("%s %s%s %s%s: %s", c.Kind, c.Name, of, would, c.Done, c.Why)
}

// A Collector is where a backend keeps what it made on the host, such as an ovs.Client:
// it removes what guests left that are gone. What this package made needs none.
type Collector interface {
	// Collect removes what bears pipework's mark and nobody uses any more, and returns
	// tells what. It goes on after a failure. Where the backend's service does not run
	// there is nothing, and no error.
	Collect(ctx context.Context, h Host) ([]Collected, error)

	// Orphans returns what Collect would remove, and changes nothing.
	Orphans(ctx context.Context, h Host) ([]Collected, error)
}

// A Reaper is a Backend on which something of a guest that has died gets in the way of
// the guest's next start: Reap removes it, for the guest p.Mark.Guest. It does so as soon
// as the kernel is done with the guest, and says whether nothing is left.
type Reaper interface {
	Reap(ctx context.Context, p *Port) (reaped bool, err error)
}
