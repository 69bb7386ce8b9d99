package pipework

import (
	"fmt"
	"strings"
)

// An Error is what every call of this package returns when it fails. It prints
// on one line.
type Error struct {
	Op        string // "attach", "update", "detach", "list", "check", "lease"
	Stage     string // "spec", "guest", "link", "address", "dhcp", "route", "announce", "undo"
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
