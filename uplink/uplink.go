package uplink

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A Plan says which NIC is to be under which bridge.
type Plan struct {
	// NIC is the interface of the host, and Bridge the bridge, which is made where there is none.
	// One that is there must have no addresses. It is one of Open vSwitch where that has one of
	// this name, or where nothing has the name and it begins with "ovs"; "ovs:" or "bridge:" before
	// the name says outright which it is.
	NIC, Bridge string
	// OVS is the Open vSwitch to ask, which has to run on this machine; nil is the one at the
	// standard socket.
	OVS *ovs.Client
	// Store is where it is recorded what was; it must not be nil.
	Store *keep.Store
	// Host is the namespace that both are in; nil is that of the calling thread.
	Host *ns.Handle
	// Managed permits a NIC that NetworkManager, systemd-networkd or a DHCP client looks
	// after. They may give it addresses again.
	Managed bool
	// DHCP takes the lease over of a DHCP client that looks after the NIC: dhclient, dhcpcd, udhcpc.
	// The server is asked to extend it as that client's, who is stopped (SIGSTOP) until an undo.
	// Then [Leases] tells of it, and package watch keeps it; without that the kernel takes the
	// address away when the lease ends.
	DHCP bool
	// Confirm is the time from the call on within which [Confirm] has to be called, or else
	// [Guard] undoes the move; 0: the move stays.
	Confirm time.Duration
	// Probe is what has to be reached by the bridge, or else the move is undone at once; then
	// nothing waits to be confirmed any more. It is tried again and again for the time Confirm, or
	// ten seconds. "gateway" is the router of the default route of IPv4, "arp:ADDRESS" a host on the
	// network, both by ARP, and "tcp:HOST:PORT" a connection; "": nothing is probed.
	Probe string
	// Guarded is called, where Confirm is not 0, once it is recorded what was, and before
	// anything is changed: to start a process that calls [Guard] and outlives this one. Its error
	// is that of the move. nil: nobody is started.
	Guarded func(context.Context) error
	// DryRun has Move and Undo change nothing, and say in Moved.Plan what they would do. Then Store
	// may be nil: nothing is recorded.
	DryRun bool

	spelled string // the word before the bridge's name, which has been taken from it
}

// Moved is what a call did.
type Moved struct {
	NIC    string         `json:"nic"`
	Bridge string         `json:"bridge"`
	Addrs  []netip.Prefix `json:"addrs"`  // that were moved
	Routes int            `json:"routes"` // that were moved: their number
	// Existed says that the NIC was under the bridge already.
	Existed bool `json:"existed,omitempty"`
	// Undone is when it is undone unless it is confirmed; zero: nothing waits for that.
	Undone   time.Time `json:"undone,omitzero"`
	Plan     []string  `json:"plan,omitempty"`     // of a dry run: what would be done, one line each
	Warnings []string  `json:"warnings,omitempty"` // one line each
}

// Carried is what was moved, on one line.
func (m *Moved) Carried() string {
	addrs := "no addresses"
	if len(m.Addrs) > 0 {
		addrs = told.List("", m.Addrs)
	}
	if m.Routes == 1 {
		return addrs + " and 1 route"
	}
	return fmt.Sprintf("%s and %d routes", addrs, m.Routes)
}

// Move puts the NIC under the bridge. After an error everything is as before. What is refused
// changes nothing: a NIC that is not there satisfies fs.ErrNotExist; one that is part of something
// else, or of a kind that no bridge takes, or that somebody else looks after, fs.ErrInvalid; a
// bridge that has addresses of its own fs.ErrExist; what this kernel cannot do
// errors.ErrUnsupported. What a call that was killed has left is undone first.
func Move(ctx context.Context, p Plan) (*Moved, error) { return p.plain().move(ctx) }

// Examined is what [Examine] found.
type Examined struct {
	NIC    string `json:"nic"`
	Bridge string `json:"bridge"`
	// Existed says that the NIC is under the bridge already.
	Existed bool `json:"existed,omitempty"`
	// Refused are the reasons for which Move would refuse it, each with what to do, one line each.
	Refused []string `json:"refused,omitempty"`
	// Notes are what the NIC's surroundings must allow for guests to be reached, one line each:
	// switches, virtual ones, access points.
	Notes []string `json:"notes,omitempty"`
}

// Examine says all that Move would refuse, by the same code, and what the surroundings must allow.
// It changes nothing. Store may be nil: then nothing is recorded.
func Examine(ctx context.Context, p Plan) (*Examined, error) { return p.plain().examine(ctx) }

// Undo gives the NIC back what the bridge has by now, takes it from the bridge, and removes the
// bridge if Move made it and nobody uses it. Of a Move that was killed it puts everything back. A
// NIC that Move did not put under the bridge is fs.ErrNotExist.
func Undo(ctx context.Context, p Plan) (*Moved, error) { return p.plain().undo(ctx) }

// Confirm has the move stay. Where nothing waits for that the error satisfies fs.ErrNotExist. It
// needs no room on the disk.
func Confirm(ctx context.Context, p Plan) error { return p.plain().confirm(ctx) }

// Guard waits until the move was confirmed, or undone, and undoes it when the time is over, also
// where the call to Move was killed. It returns the undo, or nil where there was none. It trusts
// the record alone: of the Plan it needs NIC, Bridge, Store, Host and OVS.
func Guard(ctx context.Context, p Plan) (*Moved, error) { return p.plain().guard(ctx) }

// plain takes the kind from the bridge's name, where it is spelled out.
func (p Plan) plain() Plan {
	if kind, name, is := strings.Cut(p.Bridge, ":"); is && (kind == "ovs" || kind == "bridge") {
		p.spelled, p.Bridge = kind, name
	}
	return p
}
