package dhcp

import (
	"context"
	"errors"
	"time"
)

// attend makes one exchange and applies what it brings.
func (e *entry) attend(ctx context.Context, s session) time.Time {
	if e.lease == nil {
		return e.begin(ctx, s)
	}
	now := time.Now()
	next, err := e.extend(ctx, s, now)
	after := e.lease.phase(time.Now())
	switch {
	case err == nil:
		return e.take(ctx, s, next)
	case errors.Is(err, ErrNAK), after == expired && ctx.Err() == nil:
		return e.lose(ctx, s, err)
	}
	at := e.failed(ctx, err)
	if after != e.lease.phase(now) {
		return time.Now() // the next phase has begun meanwhile
	}
	return at
}

// extend asks whom the phase says, until the phase ends.
func (e *entry) extend(ctx context.Context, s session, now time.Time) (*Lease, error) {
	ctx, cancel := context.WithDeadline(ctx, e.lease.end(now))
	defer cancel()
	switch e.lease.phase(now) {
	case rebinding:
		return s.Rebind(ctx, e.lease)
	case expired:
		return nil, errExpired
	}
	return s.Renew(ctx, e.lease)
}

var errExpired = errors.New("dhcp: the lease expired, and no server extended it")

// lose takes the lease away, and begins from the start.
func (e *entry) lose(ctx context.Context, s session, why error) time.Time {
	if err := e.apply(ctx, s, nil); err != nil {
		return e.failed(ctx, err)
	}
	e.lease = nil
	e.tell(Lost, nil, why)
	return e.begin(ctx, s)
}

// begin asks for a new lease, as soon as discovery may be repeated: at once, where
// the last one was long ago.
func (e *entry) begin(ctx context.Context, s session) time.Time {
	if time.Now().Before(e.discover) {
		return e.discover
	}
	next, err := s.Acquire(ctx, nil)
	if err != nil {
		return e.failed(ctx, err)
	}
	return e.take(ctx, s, next)
}

// spaced is when e is attended next, when it asks to be at a time, and was attended
// before at the time began: not within the exchangeGap, unless the lease expires.
func (e *entry) spaced(at, began time.Time) time.Time {
	next := began.Add(exchangeGap)
	if at.IsZero() || at.After(next) {
		return at
	}
	if e.lease != nil && e.lease.Expires.Before(next) && !e.lease.Expires.IsZero() {
		e.discover = later(e.discover, next)
		return later(at, e.lease.Expires)
	}
	return next
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rest has discovery wait longer than the last time.
func (e *entry) rest(why error) {
	e.wait = longer(e.wait, why)
	e.discover = time.Now().Add(e.wait)
}

// take applies a new or extended lease. When that fails, the old one stays the
// one that is extended next, so that it is tried again.
func (e *entry) take(ctx context.Context, s session, next *Lease) time.Time {
	if err := e.apply(ctx, s, next); err != nil {
		return e.failed(ctx, err)
	}
	kind := Changed
	if e.lease != nil && e.lease.sameSettings(next) {
		kind = Renewed
	}
	if e.lease == nil {
		e.rest(nil)
	} else { // extended: a server that can be relied on
		e.wait = 0
	}
	e.lease = next
	e.tell(kind, next, nil)
	return e.due()
}

func (e *entry) apply(ctx context.Context, s session, next *Lease) error {
	if e.Apply == nil {
		return nil
	}
	return e.Apply(ctx, s.Guest(), e.lease, next)
}

// failed tells why, and returns when to try again.
func (e *entry) failed(ctx context.Context, why error) time.Time {
	if ctx.Err() != nil {
		return time.Now() // removed, or the Keeper ends: nobody will look
	}
	e.tell(Failed, e.lease, why)
	if e.lease != nil && e.lease.phase(time.Now()) != expired {
		return e.lease.retry(time.Now())
	}
	e.rest(why)
	return e.discover
}

func (e *entry) tell(kind Kind, l *Lease, why error) {
	if e.Event == nil {
		return
	}
	ev := Event{Kind: kind, Guest: e.guest.Name, Interface: e.Interface, Lease: l, Err: why}
	if why != nil {
		ev.Reason = why.Error()
	}
	e.Event(ev)
}
