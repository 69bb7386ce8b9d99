package dhcp

import "time"

// A phase is where a lease is in its life (RFC 2131 figure 5).
type phase uint8

const (
	bound     phase = iota // nothing to do
	renewing               // T1 passed: ask the server that granted it
	rebinding              // T2 passed: ask any server
	expired                // the address must not be used
)

// phase is the lease's at this time.
func (l *Lease) phase(now time.Time) phase {
	switch {
	case l.Expires.IsZero() || now.Before(l.Renew):
		return bound
	case now.Before(l.Rebind):
		return renewing
	case now.Before(l.Expires):
		return rebinding
	}
	return expired
}

// end is when the phase at this time ends; zero for never.
func (l *Lease) end(now time.Time) time.Time {
	switch l.phase(now) {
	case bound:
		return l.Renew
	case renewing:
		return l.Rebind
	case rebinding:
		return l.Expires
	}
	return now
}

// retryMin is the least time between two attempts of RFC 2131 section 4.4.5.
const retryMin = time.Minute

// retry is when to ask again, when asking at this time brought nothing: after
// half of what is left of the phase, but not before a minute (of short leases,
// before a sixteenth of what follows T1), and at the end of the phase at last.
func (l *Lease) retry(now time.Time) time.Time {
	end := l.end(now)
	wait := max(end.Sub(now)/2, min(retryMin, l.Expires.Sub(l.Renew)/16))
	if at := now.Add(wait); at.Before(end) {
		return at
	}
	return end
}

// Without a lease, discovery is repeated after these.
const (
	firstWait = time.Second
	lastWait  = time.Minute
)
