package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
)

// maxRounds bounds how often discovery is repeated, after a refusal or after an
// address that was in use.
const maxRounds = 3

// leastLimit is how long it may take to get a lease: long enough to wait after each address in
// use but the last, and DeclineWait more for all the messages.
const leastLimit = maxRounds * DeclineWait

// limited ends when it has taken too long to get a lease, whatever servers answer: a lease of
// before, an offer and its request may each go unanswered until the last try.
func (c *Config) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := max(leastLimit, 3*c.span()) + c.Probe
	return context.WithTimeoutCause(ctx, limit, errs.New(os.ErrDeadlineExceeded, "no lease within %v", limit))
}

// An inUse is the error of addresses that were offered and declined, because other hosts have
// them. It satisfies ErrInUse.
type inUse []use

type use struct {
	addr netip.Addr
	by   net.HardwareAddr
}

func (u inUse) Error() string {
	var each []string
	for i, one := range u {
		text := fmt.Sprintf("%s (%s has it)", one.addr, one.by)
		if u[:i].has(one.addr) {
			text += " again"
		}
		each = append(each, text)
	}
	return "dhcp: what was offered is in use: " + strings.Join(each, ", ")
}

// Is says what kind of error it is.
func (u inUse) Is(target error) bool { return target == ErrInUse }

func (u inUse) has(a netip.Addr) bool {
	return slices.ContainsFunc(u, func(one use) bool { return one.addr == a })
}

// A discoverer takes the two steps of discovery.
type discoverer interface {
	offer(ctx context.Context, declined inUse) (*Lease, error)
	bind(ctx context.Context, offer *Lease) (*Lease, error) // requests it
}

// discover goes from INIT to BOUND, not at once where something failed before.
func discover(ctx context.Context, d discoverer, h history) (*Lease, error) {
	for range maxRounds {
		if err := h.rest(ctx); err != nil {
			return nil, h.with(err)
		}
		offer, err := d.offer(ctx, h.used)
		if err != nil {
			return nil, h.with(err)
		}
		l, err := d.bind(ctx, offer)
		if err == nil {
			return l, nil
		}
		if !h.failed(err) {
			return nil, h.with(err)
		}
	}
	return nil, h.before
}

// A history is why a client has no lease yet. The zero value is of one that has not asked.
type history struct {
	used   inUse
	before error         // what is known of earlier attempts; nil: nothing
	nak    time.Duration // the wait after the last refusal
	wait   time.Duration // from the last attempt to the next
}

// failed notes how an attempt ended, and says whether the next one may end otherwise. A server
// that offers an address again after it was declined has no other.
func (h *history) failed(why error) (again bool) {
	h.wait = longer(h.nak, why)
	now, is := errors.AsType[inUse](why)
	if !is {
		if again = errors.Is(why, ErrNAK) || errors.Is(why, ErrNoAddrs); again && h.used == nil {
			h.before = why
		}
		h.nak = h.wait
		return again
	}
	again = !h.used.has(now[0].addr)
	h.used = append(h.used, now...)
	h.before = h.used
	return again
}

// rest waits until the next attempt may begin. Where ctx ends before, it does not wait.
func (h *history) rest(ctx context.Context) error {
	if h.wait == 0 {
		return nil
	}
	if end, ends := ctx.Deadline(); ends && time.Until(end) < h.wait {
		return errs.New(os.ErrDeadlineExceeded, "there is no time to ask again, which has to wait %v", h.wait)
	}
	return pause.For(ctx, h.wait)
}

// with is the error of an attempt that was the last one, and of those before it. Of a server
// that gave an address in use it does not say that nobody answered (os.ErrDeadlineExceeded).
func (h *history) with(why error) error {
	switch {
	case h.before == nil:
		return why
	case errors.Is(why, ErrInUse): // failed has noted it
		return h.before
	case h.used != nil && errors.Is(why, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w; then %s", h.before, strings.TrimPrefix(why.Error(), "dhcp: "))
	}
	return fmt.Errorf("%w; then %w", h.before, why)
}
