package uplink

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/go-pipework/pipework/keep"
)

// A Status compares an uplink with what was recorded when it was made.
type Status struct {
	NIC    string `json:"nic"`
	Bridge string `json:"bridge"`
	// State is ok, drifted, missing (there is no such bridge, or no such NIC) or unfinished.
	State keep.State `json:"state"`
	// Details are what drifted, one line each: the NIC is no port of the bridge any more, an address
	// or a route without a lifetime is gone, guests could be the host's routers. What the bridge has
	// beside that is no drift, nor is what a DHCP server or a router gives and takes.
	Details []string       `json:"details,omitempty"`
	Addrs   []netip.Prefix `json:"addrs"`  // that the bridge has now
	Routes  int            `json:"routes"` // that lead through it now: their number
	// Undone is when it is undone unless it is confirmed; zero: nothing waits for that.
	Undone time.Time `json:"undone,omitzero"`
}

// OK says that nothing has to be done.
func (s Status) OK() bool { return s.State == keep.AsDeclared }

// String is s in one line for people: "uplink br0: eth0 ok: 10.0.0.2/24 and 2 routes".
func (s Status) String() string {
	text := fmt.Sprintf("uplink %s: %s %s: ", s.Bridge, s.NIC, s.State)
	if len(s.Details) > 0 {
		text += strings.Join(s.Details, "; ")
	} else {
		text += (&Moved{Addrs: s.Addrs, Routes: s.Routes}).Carried()
	}
	if s.Undone.IsZero() {
		return text
	}
	keep := "uplink --keep " + s.Bridge + " " + s.NIC
	if s.Bridge == ShimName(s.NIC) {
		keep = "shim --keep " + s.NIC
	}
	return fmt.Sprintf("%s; undone at %s unless you type: pipework %s", text, s.Undone.Format(time.TimeOnly), keep)
}

// List compares every uplink that p.Store has a record of, of p.Host and since the machine has
// started, and every shim, with what is. It changes nothing. What cannot be read is told in the error, beside what was
// found. NIC and Bridge of the Plan are not looked at.
func List(ctx context.Context, p Plan) ([]Status, error) { return p.list(ctx) }

// Mend puts right what drifted, as [List] tells it, and returns what that was; none is nothing to
// do. A bridge that is gone is made again. What a call has left that was killed is undone. Where nothing is
// recorded there is nothing to do; what cannot be mended is an error, beside what was.
func Mend(ctx context.Context, p Plan) (mended []string, err error) { return p.plain().mend(ctx) }
