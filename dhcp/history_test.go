package dhcp

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
)

// TestHistory tells of an attempt that was the last one what failed before it.
func TestHistory(t *testing.T) {
	taken := func(last byte) error {
		return inUse{{netip.AddrFrom4([4]byte{10, 77, 0, last}), []byte{2, 0, 0, 0, 0, last}}}
	}
	nak := errs.New(ErrNAK, "dhcp: refused")
	silent := errs.New(os.ErrDeadlineExceeded, "dhcp: no server answered")
	const first = "dhcp: what was offered is in use: 10.77.0.1 (02:00:00:00:00:01 has it)"
	for name, test := range map[string]struct {
		before    []error
		last      error
		want      string
		is, not   error
		noFurther bool
	}{
		"nothing":              {nil, silent, "dhcp: no server answered", os.ErrDeadlineExceeded, ErrInUse, false},
		"in use, then silence": {[]error{taken(1)}, silent, first + "; then no server answered", ErrInUse, os.ErrDeadlineExceeded, false},
		"in use, then the end": {[]error{taken(1)}, context.Canceled, first + "; then context canceled", context.Canceled, ErrNAK, false},
		"in use, then refused": {[]error{taken(1), nak}, silent, first + "; then no server answered", ErrInUse, ErrNAK, false},
		"refused, then in use": {[]error{nak, taken(1)}, silent, first + "; then no server answered", ErrInUse, ErrNAK, false},
		"refused":              {[]error{nak}, silent, "dhcp: refused; then dhcp: no server answered", ErrNAK, ErrInUse, false},
		"the same again":       {[]error{taken(1), taken(1)}, taken(1), first + ", 10.77.0.1 (02:00:00:00:00:01 has it) again", ErrInUse, ErrNAK, true},
	} {
		var h history
		again := true
		for _, err := range test.before {
			again = h.failed(err)
		}
		got := h.with(test.last)
		if got.Error() != test.want || !errors.Is(got, test.is) || errors.Is(got, test.not) || again == test.noFurther {
			t.Errorf("%s: %v, again %t", name, got, again)
		}
	}
}

// TestRests waits as long as has to be, or not at all where there is no time for it.
func TestRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := history{wait: DeclineWait}
		for limit, want := range map[time.Duration]time.Duration{DeclineWait - 1: 0, time.Minute: DeclineWait} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			begun := time.Now()
			err := h.rest(ctx)
			if took := time.Since(begun); took != want || (err == nil) != (want > 0) {
				t.Errorf("%v: after %v, %v", limit, took, err)
			}
			cancel()
		}
	})
}

// A fakeServer offers addresses, one after the other, of which some are in use.
type fakeServer struct {
	offers   []byte // the last bytes of the addresses; 0: no answer
	used     []byte // of those that other hosts have
	refused  byte   // of one that it refuses after all
	declined []int  // how many addresses were declined before each discovery
}

func (f *fakeServer) offer(_ context.Context, declined inUse) (*Lease, error) {
	f.declined = append(f.declined, len(declined))
	next := f.offers[0]
	if f.offers = f.offers[1:]; next == 0 {
		return nil, errs.New(os.ErrDeadlineExceeded, "dhcp: no server answered")
	}
	return &Lease{Addr: netip.PrefixFrom(host(next), 24)}, nil
}

func (f *fakeServer) bind(_ context.Context, offer *Lease) (*Lease, error) {
	switch last := offer.Addr.Addr().As4()[3]; {
	case last == f.refused:
		return nil, errs.New(ErrNAK, "dhcp: refused")
	case slices.Contains(f.used, last):
		return nil, inUse{{offer.Addr.Addr(), []byte{2, 0, 0, 0, 0, last}}}
	}
	return offer, nil
}

// host is an address with this last byte.
func host(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, last}) }

// TestDiscoverWaits has the client ask again as soon as it may, and give up where it may not.
func TestDiscoverWaits(t *testing.T) {
	for name, test := range map[string]struct {
		fakeServer
		deadline, cancelled time.Duration // 0: never
		took                time.Duration
		gets                string // or
		is                  error
		declined            []int
	}{
		"a free one":              {fakeServer{offers: []byte{60}}, 0, 0, 0, "10.77.0.60/24", nil, []int{0}},
		"another one is free":     {fakeServer{offers: []byte{50, 60}}, 0, 0, DeclineWait, "10.77.0.60/24", nil, []int{0, 1}},
		"the third is free":       {fakeServer{offers: []byte{50, 51, 61}}, 0, 0, 2 * DeclineWait, "10.77.0.61/24", nil, []int{0, 1, 2}},
		"the same one again":      {fakeServer{offers: []byte{50, 50, 61}}, 0, 0, DeclineWait, "", ErrInUse, []int{0, 1}},
		"only used ones":          {fakeServer{offers: []byte{50, 51, 52, 61}}, 0, 0, 2 * DeclineWait, "", ErrInUse, []int{0, 1, 2}},
		"and then none":           {fakeServer{offers: []byte{50, 0, 61}}, 0, 0, DeclineWait, "", ErrInUse, []int{0, 1}},
		"refused":                 {fakeServer{offers: []byte{70, 70, 60}}, 0, 0, 3 * time.Second, "10.77.0.60/24", nil, []int{0, 0, 0}},
		"refused, then in use":    {fakeServer{offers: []byte{70, 50, 60}}, 0, 0, time.Second + DeclineWait, "10.77.0.60/24", nil, []int{0, 0, 1}},
		"in use, then refused":    {fakeServer{offers: []byte{50, 70, 60}}, 0, 0, DeclineWait + time.Second, "10.77.0.60/24", nil, []int{0, 1, 1}},
		"no time to ask again":    {fakeServer{offers: []byte{50, 60}}, DeclineWait - 1, 0, 0, "", ErrInUse, []int{0}},
		"cancelled while waiting": {fakeServer{offers: []byte{50, 60}}, 0, 3 * time.Second, 3 * time.Second, "", context.Canceled, []int{0}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, test.deadline)
				defer cancel()
			}
			if test.cancelled > 0 {
				defer time.AfterFunc(test.cancelled, cancel).Stop()
			}
			test.used, test.refused = []byte{50, 51, 52}, 70
			begun := time.Now()
			l, err := discover(ctx, &test.fakeServer, history{})
			if took := time.Since(begun); took != test.took || !errors.Is(err, test.is) {
				t.Errorf("%s: after %v, %v", name, took, err)
			}
			if l != nil && l.Addr.String() != test.gets || (l == nil) != (test.gets == "") {
				t.Errorf("%s: got %+v", name, l)
			}
			if !slices.Equal(test.fakeServer.declined, test.declined) {
				t.Errorf("%s: declined %v before its discoveries", name, test.fakeServer.declined)
			}
		})
	}
}

// TestLimit bounds how long it takes to get a lease.
func TestLimit(t *testing.T) {
	for want, c := range map[time.Duration]Config{
		30 * time.Second: {},
		31 * time.Second: {Probe: time.Second},
		45 * time.Second: {Timeout: time.Second, Tries: 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := c.limited(t.Context())
			defer cancel()
			begun := time.Now()
			<-ctx.Done()
			if took := time.Since(begun); took != want || !errors.Is(context.Cause(ctx), os.ErrDeadlineExceeded) {
				t.Errorf("%+v: %v, %v", c, took, context.Cause(ctx))
			}
		})
	}
}
