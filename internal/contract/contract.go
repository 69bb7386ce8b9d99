//go:build linux

// Package contract is the one test that every link.Backend passes: attach,
// reach a peer both ways, attach again, detach, detach again; and at every
// single step a failure, after which everything is as it was.
package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A Case is one backend in one surrounding.
type Case struct {
	// Setup makes what the backend stands on, for the length of the test, and
	// returns the backend.
	Setup func(t testing.TB) link.Backend
	// NoMAC says that the backend's interfaces take no MAC.
	NoMAC bool
	// Change changes the Spec; nil leaves it.
	Change func(*pipework.Spec)
	// Drifts is how many there are of an interface that lost its addresses and is
	// down; 0 stands for 3.
	Drifts int
	// Peers says that guests on the same link reach each other.
	Peers bool
	// Alone says that only one guest at a time can have the link.
	Alone bool
}

// Run runs the contract.
func Run(t *testing.T, c Case) {
	for name, test := range map[string]func(*testing.T){
		"reach": c.reach, "again": c.again, "attach faults": c.attachFaults, "detach faults": c.detachFaults,
		"cancelled": c.cancelled, "race": c.race,
	} {
		t.Run(name, test)
	}
}

// fixture is a guest that has default routes of its own, to be displaced.
type fixture struct {
	Case
	backend link.Backend
	target  ns.Named
	guest   *ns.Guest
	world   *nstest.World
}

func (c Case) fixture(t *testing.T) *fixture {
	f := &fixture{Case: c, backend: c.Setup(t)}
	f.target, f.guest = nstest.Guest(t)
	nstest.Uplink(t, f.guest)
	f.world = nstest.Observe(t, f.guest.Handle)
	return f
}

func (f *fixture) spec() pipework.Spec {
	s := pipework.Spec{
		Link: f.backend, Name: "net1",
		Addrs:    []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.9.9.9")}, // not covered: needs a host route
	}
	if f.Change != nil {
		f.Change(&s)
	}
	return s
}

// reach plugs two guests in, with both families, and lets them talk.
func (c Case) reach(t *testing.T) {
	f := c.fixture(t)
	target, peer := nstest.Guest(t)
	world := nstest.Observe(t, f.guest.Handle, peer.Handle)
	one, two := f.spec(), f.spec()
	one.Addrs = append(one.Addrs, netip.MustParsePrefix("fd01::1/64"))
	one.Gateways = append(one.Gateways, netip.MustParseAddr("fd01::fe"))
	two.Addrs = []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24"), netip.MustParsePrefix("fd01::2/64")}
	two.Gateways = nil
	if !c.NoMAC {
		one.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	}
	var wg sync.WaitGroup
	wg.Go(func() { attach(t, f.target, one) })
	if !c.Alone {
		wg.Go(func() { attach(t, target, two) })
	}
	wg.Wait()
	if c.Peers && !t.Failed() {
		nstest.Ping(t, f.guest.Handle, "10.1.0.2")
		nstest.Ping(t, peer.Handle, "10.1.0.1")
		nstest.Ping(t, f.guest.Handle, "fd01::2")
		nstest.Ping(t, peer.Handle, "fd01::1")
	}
	detach(t, f.target, one)
	detach(t, target, two)
	world.Unchanged(t)
}

// again attaches twice, with the same and with another Spec, and mends drift.
func (c Case) again(t *testing.T) {
	f := c.fixture(t)
	first := attach(t, f.target, f.spec())
	if first.Existed || len(first.Displaced) != 2 {
		t.Errorf("first attach: %+v", first)
	}
	attached := nstest.Observe(t, f.guest.Handle)
	second := attach(t, f.target, f.spec())
	if !second.Existed || len(second.Mended) > 0 {
		t.Errorf("second attach: %+v", second)
	}
	second.Existed = false
	first.Lease, second.Lease = nil, nil // its times differ
	if diff := cmp.Diff(first, second, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
		t.Errorf("the same Attach again (-first +second):\n%s", diff)
	}
	other := f.spec()
	other.Addrs = []netip.Prefix{netip.MustParsePrefix("10.1.0.7/24")}
	if _, err := pipework.Attach(t.Context(), f.target, other); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another Spec: %v", err)
	}
	attached.Unchanged(t)
	drifts := max(3, c.Drifts)
	nstest.Spoil(t, f.guest, "net1")
	checked, err := pipework.Check(t.Context(), f.target, f.spec())
	if err != nil || len(checked.Drifts) != drifts {
		t.Errorf("check of a spoilt interface: %+v, %v", checked, err)
	}
	if mended := attach(t, f.target, f.spec()); len(mended.Mended) != drifts {
		t.Errorf("mended %q", mended.Mended)
	}
	attached.Unchanged(t)
	detach(t, f.target, f.spec())
	detach(t, f.target, f.spec())
	f.world.Unchanged(t)
}

var errInjected = errors.New("injected failure")

// attachFaults makes Attach fail at its first step, then at its second, and so
// on until none is left.
func (c Case) attachFaults(t *testing.T) {
	f := c.fixture(t)
	steps := EveryStep(t, func(ctx context.Context) error {
		_, err := pipework.Attach(ctx, f.target, f.spec())
		if err != nil {
			f.world.Unchanged(t)
		} else {
			detach(t, f.target, f.spec())
		}
		return err
	})
	t.Logf("%d steps", steps)
	f.world.Unchanged(t)
}

// detachFaults makes Detach fail at every step. What a failed Detach leaves, the
// next one finishes; and while the interface is there it is whole.
func (c Case) detachFaults(t *testing.T) {
	f := c.fixture(t)
	steps := EveryStep(t, func(ctx context.Context) error {
		attach(t, f.target, f.spec())
		attached := nstest.Observe(t, f.guest.Handle)
		err := pipework.Detach(ctx, f.target, f.spec())
		if _, gone := pipework.Check(t.Context(), f.target, f.spec()); err != nil && !errors.Is(gone, fs.ErrNotExist) {
			attached.Unchanged(t)
		}
		detach(t, f.target, f.spec())
		f.world.Unchanged(t)
		return err
	})
	t.Logf("%d steps", steps)
}

// EveryStep calls do with a context in which the first step fails, then with one
// in which the second does, until none failed. It returns how many there are.
func EveryStep(t *testing.T, do func(context.Context) error) int {
	for n := 1; ; n++ {
		var count int
		var failed string
		ctx := fault.With(t.Context(), func(step string) error {
			if count++; count == n {
				failed = step
				return fmt.Errorf("%w of %s", errInjected, step)
			}
			return nil
		})
		err := do(ctx)
		if err != nil && !errors.Is(err, errInjected) {
			t.Errorf("error after an injected failure: %v", err)
		}
		if t.Failed() {
			t.Fatalf("after a failure of step %d, %s", n, failed)
		}
		if failed == "" {
			return count
		}
	}
}

// cancelled ends the context at every step instead: the way of Ctrl-C.
func (c Case) cancelled(t *testing.T) {
	f := c.fixture(t)
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		count := 0
		ctx = fault.With(ctx, func(string) error {
			if count++; count == n {
				cancel()
				return context.Canceled
			}
			return nil
		})
		_, err := pipework.Attach(ctx, f.target, f.spec())
		cancel()
		if err == nil && count < n {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled at step %d: %v", n, err)
		}
		f.world.Unchanged(t)
	}
	detach(t, f.target, f.spec())
	f.world.Unchanged(t)
}

// race attaches one name from many goroutines, half of them with another
// address: one Spec wins.
func (c Case) race(t *testing.T) {
	f := c.fixture(t)
	a, b := f.spec(), f.spec()
	b.Addrs = []netip.Prefix{netip.MustParsePrefix("10.1.0.7/24")}
	var mu sync.Mutex
	won := map[netip.Prefix]int{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := []pipework.Spec{a, b}[i%2]
			at, err := pipework.Attach(t.Context(), f.target, s)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[at.Addrs[0]]++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("winners: %v", won)
	}
	for range 4 {
		wg.Go(func() { detach(t, f.target, a) })
	}
	wg.Wait()
	f.world.Unchanged(t)
}

func attach(t *testing.T, target pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	at, err := pipework.Attach(t.Context(), target, s)
	if err != nil {
		t.Error(err)
		return new(pipework.Attachment)
	}
	for _, w := range at.Warnings {
		t.Error("warning:", w)
	}
	return at
}

func detach(t *testing.T, target pipework.Target, s pipework.Spec) {
	t.Helper()
	if err := pipework.Detach(t.Context(), target, s); err != nil {
		t.Error(err)
	}
}
