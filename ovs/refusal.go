package ovs

import "errors"

// The errors of RFC 7047, section 3.1, that mean something to pipework.
const (
	timedOut   = "timed out"            // a guard does not hold
	constraint = "constraint violation" // a name is in use, a value is not allowed
)

// A refusal is a transaction that the server did not commit.
type refusal struct {
	what          string // the operation; empty when the commit failed
	kind, details string
	means         error // what the caller said that it means
}

// Error says what the refusal means, or else what the server said.
func (r *refusal) Error() string {
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
func (r *refusal) Unwrap() error { return r.means }

// refused says whether err is a refusal of this kind.
func refused(err error, kind string) bool {
	var r *refusal
	return errors.As(err, &r) && r.kind == kind
}
