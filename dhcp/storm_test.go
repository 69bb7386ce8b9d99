//go:build linux

package dhcp

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// An odd server grants every request at once, with times of its own choice.
type odd struct {
	t     *testing.T
	grant func(t *testing.T) *Lease
	fails map[string]error // by what is asked: "acquire", "renew", "rebind"
	asked []ask
	loses int
	stop  context.CancelFunc
}

// tooMany ends a storm for which the clock does not go on.
const tooMany = 10000

type ask struct {
	what string
	at   time.Time
}

func (o *odd) answer(what string) (*Lease, error) {
	if o.asked = append(o.asked, ask{what, time.Now()}); len(o.asked) == tooMany {
		o.stop()
	}
	if err := o.fails[what]; err != nil {
		return nil, err
	}
	return o.grant(o.t), nil
}

func (o *odd) Acquire(context.Context, *Lease) (*Lease, error) { return o.answer("acquire") }
func (o *odd) Renew(context.Context, *Lease) (*Lease, error)   { return o.answer("renew") }
func (o *odd) Rebind(context.Context, *Lease) (*Lease, error)  { return o.answer("rebind") }
func (o *odd) Guest() *ns.Guest                                { return nil }
func (o *odd) Close()                                          {}

// of is a lease of so many seconds, with T1 and T2; -1 leaves the option out.
func of(lease, t1, t2 int64) func(*testing.T) *Lease {
	return func(t *testing.T) *Lease {
		options := map[uint8][]byte{}
		for code, seconds := range map[uint8]int64{51: lease, 58: t1, 59: t2} {
			if seconds >= 0 {
				options[code] = binary.BigEndian.AppendUint32(nil, uint32(seconds))
			}
		}
		l, err := parse(ack(t, options), nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// of6 is a DHCPv6 lease with these times.
func of6(t1, t2 uint32, addrs ...iaaddr) func(*testing.T) *Lease {
	return func(t *testing.T) *Lease {
		r, err := parse6(answer6(dhcpv6.MessageTypeReply, t1, t2, addrs).ToBytes(), me, time.Now())
		if err != nil || r.lease == nil {
			t.Fatal(r, err)
		}
		return r.lease
	}
}

// TestNoStorm keeps leases for an hour of servers that would have them renewed
// without end, and counts the exchanges.
func TestNoStorm(t *testing.T) {
	const inf = math.MaxUint32
	down := fmt.Errorf("dhcp: %w", unix.ENETDOWN)
	for name, test := range map[string]struct {
		grant func(*testing.T) *Lease
		fails map[string]error
		apply error
		most  int  // exchanges within an hour
		loses bool // the server's times let the lease run out
	}{
		"T1 and T2 are 0":                 {grant: of(600, 0, 0), most: 12},
		"T2 is 0":                         {grant: of(600, 5, 0), most: 360},
		"T1 is 0":                         {grant: of(600, 0, 5), most: 360},
		"T1 and T2 are a second":          {grant: of(600, 1, 1), most: 360},
		"a second and two of a day":       {grant: of(86400, 1, 2), most: 60},
		"T1 and T2 are the lease":         {grant: of(600, 600, 600), most: 16},
		"T1 is after T2":                  {grant: of(600, 500, 1), most: 360},
		"ten seconds":                     {grant: of(10, 0, 0), most: 720},
		"ten seconds, T1 is a second":     {grant: of(10, 1, 2), most: 3600 * 6 / 7},
		"four seconds":                    {grant: of(4, 0, 0), most: 1800},
		"two seconds":                     {grant: of(2, 0, 0), most: 3500},
		"one second":                      {grant: of(1, 0, 0), most: 70, loses: true},
		"the longest":                     {grant: of(inf-1, 0, 0), most: 0},
		"for ever, T1 is 0":               {grant: of(inf, 0, 0), most: 0},
		"every renewal is refused":        {grant: of(600, 1, 2), fails: map[string]error{"renew": ErrNAK}, most: 140, loses: true},
		"short ones, renewals refused":    {grant: of(2, 0, 0), fails: map[string]error{"renew": ErrNAK}, most: 140, loses: true},
		"everything is refused":           {grant: of(2, 0, 0), fails: map[string]error{"renew": ErrNAK, "acquire": ErrNAK}, most: 70, loses: true},
		"every address is in use":         {grant: of(2, 0, 0), fails: map[string]error{"renew": ErrNAK, "acquire": ErrInUse}, most: 70, loses: true},
		"the network is down":             {grant: of(600, 1, 1), fails: map[string]error{"renew": down, "rebind": down, "acquire": down}, most: 100, loses: true},
		"down, and the leases were short": {grant: of(8, 1, 1), fails: map[string]error{"renew": down, "rebind": down, "acquire": down}, most: 80, loses: true},
		"the guest cannot be configured":  {grant: of(8, 1, 1), apply: unix.EBUSY, most: 80, loses: true},

		"v6: T1 and T2 are 0":          {grant: of6(0, 0, iaaddr{"fd77::5", 300, 600}), most: 24},
		"v6: T1 and T2 are a second":   {grant: of6(1, 1, iaaddr{"fd77::5", 300, 600}), most: 360},
		"v6: T1 is 0":                  {grant: of6(0, 1, iaaddr{"fd77::5", 300, 600}), most: 360},
		"v6: T2 is 0":                  {grant: of6(5, 0, iaaddr{"fd77::5", 300, 600}), most: 360},
		"v6: preferred for a second":   {grant: of6(0, 0, iaaddr{"fd77::5", 1, 600}), most: 360},
		"v6: preferred for no time":    {grant: of6(0, 0, iaaddr{"fd77::5", 0, 600}), most: 12},
		"v6: valid for a second":       {grant: of6(0, 0, iaaddr{"fd77::5", 1, 1}), most: 70, loses: true},
		"v6: one address for a second": {grant: of6(0, 0, iaaddr{"fd77::5", 1, 1}, iaaddr{"fd77::6", 300, 600}), most: 360},
		"v6: T1 and T2 are for ever":   {grant: of6(inf, inf, iaaddr{"fd77::5", 300, 600}), most: 16, loses: true},
		"v6: for ever, T1 is a second": {grant: of6(1, 1, iaaddr{"fd77::5", inf, inf}), most: 0},
		"v6: a second, one for ever":   {grant: of6(0, 0, iaaddr{"fd77::5", 1, 1}, iaaddr{"fd77::6", inf, inf}), most: 70, loses: true},
		"v6: the longest":              {grant: of6(0, 0, iaaddr{"fd77::5", inf - 1, inf - 1}), most: 0},
		"v6: has no address left":      {grant: of6(1, 1, iaaddr{"fd77::5", 2, 2}), fails: map[string]error{"renew": ErrNoAddrs, "rebind": ErrNoAddrs, "acquire": ErrNoAddrs}, most: 70, loses: true},
		"v6: takes the addresses back": {grant: of6(1, 1, iaaddr{"fd77::5", 300, 600}), fails: map[string]error{"renew": ErrNAK, "rebind": ErrNAK}, most: 140, loses: true},
		"v6: every address is in use":  {grant: of6(1, 1, iaaddr{"fd77::5", 2, 2}), apply: errs.New(unix.EEXIST, "in use"), most: 80, loses: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &odd{t: t, grant: test.grant, fails: test.fails}
				o.keep(time.Hour, test.apply)
				if len(o.asked) > test.most {
					t.Errorf("%d exchanges in an hour, want %d at most", len(o.asked), test.most)
				}
				if o.loses > 0 && !test.loses {
					t.Errorf("lost %d times", o.loses)
				}
				o.checkGaps(t)
			})
		})
	}
}

// keep has a Keeper keep a lease of o's for so long.
func (o *odd) keep(long time.Duration, apply error) {
	e := &entry{place: -1, Kept: Kept{
		Event: func(ev Event) {
			if ev.Kind == Lost {
				o.loses++
			}
		},
		Apply: func(_ context.Context, _ *ns.Guest, _, next *Lease) error {
			if next == nil {
				return nil
			}
			return apply
		},
	}}
	e.lease = o.grant(o.t)
	k := &Keeper{open: func(context.Context, *entry) (session, error) { return o, nil }, all: map[*entry]struct{}{e: {}}}
	k.put(e, e.due())
	ctx, cancel := context.WithTimeout(o.t.Context(), long)
	defer cancel()
	o.stop = cancel
	var wg sync.WaitGroup
	_ = k.drive(ctx, k.wake, &wg)
	wg.Wait()
}

// checkGaps fails the test where two exchanges began within a second, but for one
// discovery that follows a refusal.
func (o *odd) checkGaps(t *testing.T) {
	t.Helper()
	for i := 1; i < len(o.asked); i++ {
		last, next := o.asked[i-1], o.asked[i]
		if gap := next.at.Sub(last.at); gap < time.Second && !(next.what == "acquire" && last.what != "acquire") {
			t.Fatalf("exchange %d, %s, %v after %s", i, next.what, gap, last.what)
		}
	}
}

// TestUnknownTimes keeps a lease whose T1 and T2 nobody knows any more, as one that
// was read from an interface.
func TestUnknownTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &odd{t: t}
		o.grant = func(t *testing.T) *Lease {
			if len(o.asked) > 0 {
				return of(3600, -1, -1)(t)
			}
			l := of(600, -1, -1)(t)
			l.Renew, l.Rebind = time.Time{}, time.Time{}
			return l
		}
		o.keep(time.Minute, nil)
		if len(o.asked) != 1 || o.loses > 0 {
			t.Errorf("asked %v, lost %d times", o.asked, o.loses)
		}
	})
}

// TestInUseWaits begins discovery no sooner than ten seconds after an address was
// declined (RFC 2131 section 3.1).
func TestInUseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &odd{t: t, grant: of(2, 0, 0), fails: map[string]error{"renew": ErrNAK, "acquire": ErrInUse}}
		o.keep(time.Hour, nil)
		var discovered time.Time
		for _, a := range o.asked {
			if a.what == "acquire" && !discovered.IsZero() && a.at.Sub(discovered) < 10*time.Second {
				t.Errorf("discovery %v after one that found the address in use", a.at.Sub(discovered))
			}
			if a.what == "acquire" {
				discovered = a.at
			}
		}
		if discovered.IsZero() || !strings.Contains(fmt.Sprint(o.asked), "renew") {
			t.Errorf("asked %v", o.asked)
		}
	})
}
