package dhcp

import (
	"errors"
	"time"
)

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

// interval is the least time from a request to T1 of a lease of this length,
// whatever the server says: a second and a sixtieth of the lease, at most a minute.
func interval(life time.Duration) time.Duration {
	return min(time.Second+life/60, time.Minute)
}

// times4 are T1 and T2 of a DHCPv4 lease of this length. What the server did not
// say (0), or said in the wrong order, is half and seven eighths of the lease (RFC
// 2131 section 4.4.5).
func times4(life, t1, t2 time.Duration) (time.Duration, time.Duration) {
	if t2 == 0 || t2 >= life {
		t2 = life / 8 * 7
	}
	if t1 == 0 || t1 >= t2 {
		t1 = min(life/2, t2/8*7)
	}
	return bounded(life, interval(life), t1, t2)
}

// times6 are T1 and T2 of a DHCPv6 lease of this length, whose addresses are valid and
// preferred at least so long. What the server leaves to the client (0) is 0.5 and 0.8
// of the shortest preferred lifetime (RFC 8415 section 21.4).
func times6(life, valid, preferred, t1, t2 time.Duration) (time.Duration, time.Duration) {
	if t2 == 0 {
		t2 = preferred / 10 * 8
	}
	if t1 == 0 {
		t1 = min(preferred/2, t2/8*5)
	}
	return bounded(life, interval(valid), t1, t2)
}

// bounded makes T1 no less than least, and T1 <= T2 <= life.
func bounded(life, least, t1, t2 time.Duration) (time.Duration, time.Duration) {
	t1 = min(max(t1, least), life)
	if t2 < t1 {
		t2 = max(t1, life/8*7)
	}
	return t1, min(t2, life)
}

const (
	// exchangeGap is the least time between the beginnings of two exchanges for
	// one lease (the rate of RFC 8415 section 14.1). Only discovery may follow a
	// refusal at once.
	exchangeGap = time.Second
	// firstWait and lastWait are how long discovery waits before it is repeated:
	// doubled each time, until a lease has been extended.
	firstWait = time.Second
	lastWait  = time.Minute
)

// longer is the wait after this one, when discovery ended so; nil is a lease.
func longer(wait time.Duration, why error) time.Duration {
	wait = min(max(2*wait, firstWait), lastWait)
	if errors.Is(why, ErrInUse) {
		return max(wait, DeclineWait)
	}
	return wait
}
