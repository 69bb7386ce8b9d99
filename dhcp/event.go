package dhcp

// A Kind is what happened to a kept lease.
type Kind string

// The kinds of events.
const (
	Renewed Kind = "renewed" // same settings, for longer
	Changed Kind = "changed" // another address, route, MTU or name server, or a lease after none
	Failed  Kind = "failed"  // an attempt failed: Err says why; it will be repeated
	Lost    Kind = "lost"    // refused or expired: the address is not used any longer
	Ended   Kind = "ended"   // the guest or its interface is gone, and will not be looked at again
)

// An Event tells of one kept lease. It marshals as JSON.
type Event struct {
	Kind      Kind   `json:"event"`
	Guest     string `json:"guest,omitempty"`
	Interface string `json:"interface"`
	// Lease is the one in force; nil after Lost and Ended.
	Lease *Lease `json:"lease,omitempty"`
	// Err is why; Reason its text.
	Err    error  `json:"-"`
	Reason string `json:"reason,omitempty"`
}
