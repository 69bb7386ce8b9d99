package dhcp

import (
	"context"
	"errors"
	"net/netip"
	"os"
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
