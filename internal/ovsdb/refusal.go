package ovsdb

import (
	"errors"
	"strconv"
	"strings"
)

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
	text := "OVSDB refused the transaction: " + printable(r.kind)
	if r.what != "" {
		text = "OVSDB refused to " + r.what + ": " + printable(r.kind)
	}
	if r.details != "" {
		text += " (" + printable(r.details) + ")"
	}
	return text
}

// printable is what a server said as a part of one line: cut where it is longer
// than 500 bytes, and quoted where it has more than printable characters.
func printable(text string) string {
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "..."
	}
	for _, r := range text {
		if !strconv.IsPrint(r) {
			return strconv.Quote(text)
		}
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
