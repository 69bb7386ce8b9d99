package pipework

import (
	"fmt"
	"strings"
)

// A Stage is the step of a call that failed.
type Stage string

// The stages, about in the order in which a call comes to them.
const (
	StageSpec      Stage = "spec"      // the Spec is wrong; nothing was touched
	StageGuest     Stage = "guest"     // the guest, or the host's namespace, could not be opened, locked or entered
	StageInterface Stage = "interface" // the interface that is meant was not found in the guest
	StageLink      Stage = "link"      // the backend, or the interface itself: what it is plugged into, whose it is
	StageAddress   Stage = "address"   // addresses, and what IPv6 routers advertise
	StageDHCP      Stage = "dhcp"      // a lease
	StageRoute     Stage = "route"     // gateways, routes and rules
	StageAnnounce  Stage = "announce"  // telling the network of new addresses
	StageUndo      Stage = "undo"      // undoing the changes of a call that failed: something is left
)

// An Error is what every call of this package returns when it fails. It prints
// on one line.
type Error struct {
	Op        string // "attach", "update", "adopt", "detach", "list", "check", "collect", "detect", "lease"
	Stage     Stage
	Guest     string // the guest's name; empty when it was not found
	Interface string // its name inside the guest; empty for List
	Err       error
}

// Error says what failed, where, and why.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Interface != "" {
		b.WriteString(" " + e.Interface)
	}
	if e.Guest != "" {
		fmt.Fprintf(&b, " (%s)", e.Guest)
	}
	return b.String() + ": " + strings.ReplaceAll(e.Err.Error(), "\n", "; ")
}

// Unwrap makes errors.Is and errors.As see the cause.
func (e *Error) Unwrap() error { return e.Err }
