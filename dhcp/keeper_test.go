//go:build linux

package dhcp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

func TestPhases(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	long := &Lease{Renew: at(1800), Rebind: at(3150), Expires: at(3600)}
	short := &Lease{Renew: at(3), Rebind: at(6), Expires: at(8)}
	for _, test := range []struct {
		lease *Lease
		now   int
		phase phase
		retry int // when to ask again after a failure at now
	}{
		{long, 0, bound, 0},
		{long, 1799, bound, 0},
		{long, 1800, renewing, 2475}, // half of what is left until T2
		{long, 2475, renewing, 2812},
		{long, 3060, renewing, 3120}, // but not before a minute
		{long, 3120, renewing, 3150}, // and T2 at last
		{long, 3150, rebinding, 3375},
		{long, 3590, rebinding, 3600},
		{long, 3600, expired, 3600},
		{short, 2, bound, 0},
		{short, 3, renewing, 4},
		{short, 7, rebinding, 7},
		{short, 9, expired, 9},
		{&Lease{}, 1 << 30, bound, 0},
	} {
		if got := test.lease.phase(at(test.now)); got != test.phase {
			t.Errorf("phase at %d: %d, want %d", test.now, got, test.phase)
		}
		if got := int(test.lease.retry(at(test.now)).Unix()); test.retry != 0 && got != test.retry {
			t.Errorf("retry at %d: %d, want %d", test.now, got, test.retry)
		}
	}
}

// A fake server answers from a script: what it says to each kind of request.
type fake struct {
	start time.Time
	life  time.Duration
	does  func(what string, now time.Duration) error
	addr  string
	log   []string
}

func (f *fake) answer(ctx context.Context, what string) (*Lease, error) {
	now := time.Since(f.start).Round(time.Second)
	err := f.does(what, now)
	f.log = append(f.log, fmt.Sprintf("%s@%d", what, int(now.Seconds())))
	if errors.Is(err, os.ErrDeadlineExceeded) { // silence takes its time
		if ended := pause.For(ctx, 7*time.Second); ended != nil {
			err = ended
		}
	}
	if err != nil {
		return nil, err
	}
	return f.lease(), nil
}

func (f *fake) lease() *Lease {
	now := time.Now()
	return &Lease{Addr: netip.MustParsePrefix(f.addr), Renew: now.Add(f.life / 2), Rebind: now.Add(f.life / 8 * 7), Expires: now.Add(f.life)}
}

func (f *fake) Acquire(ctx context.Context, _ *Lease) (*Lease, error) {
	return f.answer(ctx, "acquire")
}
func (f *fake) Renew(ctx context.Context, _ *Lease) (*Lease, error)  { return f.answer(ctx, "renew") }
func (f *fake) Rebind(ctx context.Context, _ *Lease) (*Lease, error) { return f.answer(ctx, "rebind") }
func (f *fake) Guest() *ns.Guest                                     { return nil }
func (f *fake) Close()                                               {}

func TestKeeper(t *testing.T) {
	silent := errors.Join(os.ErrDeadlineExceeded)
	for name, test := range map[string]struct {
		does func(what string, now time.Duration) error
		move string // the address that a new lease has
		asks string // within two hours, repetitions once
		says string
	}{
		"a server that is there": {
			does: func(string, time.Duration) error { return nil },
			asks: "renew", says: "renewed",
		},
		"the server died, another answers": {
			does: func(what string, _ time.Duration) error {
				if what == "renew" {
					return silent
				}
				return nil
			},
			asks: "renew rebind renew rebind", says: "failed renewed failed renewed",
		},
		"refused": {
			does: func(what string, now time.Duration) error {
				if what == "renew" && now < time.Hour {
					return ErrNAK
				}
				return nil
			},
			move: "10.0.0.9/24", asks: "renew acquire renew", says: "lost changed renewed",
		},
		"all silent, and back": {
			does: func(_ string, now time.Duration) error {
				if now < 3700*time.Second {
					return silent
				}
				return nil
			},
			asks: "renew rebind acquire renew", says: "failed lost failed changed renewed",
		},
		"the guest is gone": {
			does: func(string, time.Duration) error { return fs.ErrNotExist },
			says: "ended",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{start: time.Now(), life: time.Hour, does: test.does, addr: "10.0.0.5/24"}
				var says []string
				var applied []string
				e := &entry{place: -1, lease: f.lease(), Kept: Kept{
					Event: func(ev Event) { says = append(says, string(ev.Kind)) },
					Apply: func(_ context.Context, _ *ns.Guest, old, new *Lease) error {
						applied = append(applied, fmt.Sprint(old != nil, new != nil))
						return nil
					},
				}}
				if test.move != "" {
					f.addr = test.move
				}
				k := &Keeper{open: func(context.Context, *entry) (session, error) {
					if err := test.does("", 0); errors.Is(err, fs.ErrNotExist) {
						return nil, err
					}
					return f, nil
				}, all: map[*entry]struct{}{e: {}}}
				k.put(e, e.due())
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				var wg sync.WaitGroup
				_ = k.drive(ctx, k.wake, &wg)
				wg.Wait()
				asks := strings.Join(f.log, " ")
				for i := range f.log {
					f.log[i], _, _ = strings.Cut(f.log[i], "@")
				}
				if got := strings.Join(slices.Compact(f.log), " "); got != test.asks {
					t.Errorf("asked %s, want %s", asks, test.asks)
				}
				if got := strings.Join(slices.Compact(says), " "); got != test.says {
					t.Errorf("said %s, want %s (asked %s)", got, test.says, asks)
				}
				if lost := slices.Contains(says, "lost"); lost != slices.Contains(applied, "true false") {
					t.Errorf("said %v, applied %v", says, applied)
				}
			})
		})
	}
}
