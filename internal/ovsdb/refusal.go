package ovsdb

import "errors"

// The errors of RFC 7047, section 3.1, that mean something to pipework.
const (
	TimedOut   = "timed out"            // a guard does not hold
	Constraint = "constraint violation" // a name is in use, a value is not allowed
)

// A Refusal is a transaction that the server did not commit.
type Refusal struct {
	what          string // the operation; empty when the commit failed
	kind, details string
	means         error // what the caller said that it means
}

// Error says what the refusal means, or else what the server said.
func (r *Refusal) Error() string {
	if r.means != nil {
		return r.means.Error()
	}
	text := "OVSDB refused the transaction: " + r.kind
	if r.what != "" {
		text = "OVSDB refused to " + r.what + ": " + r.kind
	}
	if r.details != "" {
		text += " (" + r.details + ")"
	}
	return text
}

// Unwrap makes errors.Is see what the refusal means.
func (r *Refusal) Unwrap() error { return r.means }

// Refused says whether err is a refusal of this kind.
func Refused(err error, kind string) bool {
	var r *Refusal
	return errors.As(err, &r) && r.kind == kind
}
