//go:build linux

// Package contract is the one test that every link.Backend passes: attach,
// reach a peer both ways, attach again, update, detach, detach again; and at every
// single step a failure (of an update at some), after which everything is as it was.
package contract

import (
	"context"
	"errors"
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
	// Beside are guests that Setup made and the backend works in, too; nil: none.
	Beside func() []*ns.Handle
	// Outside reads, as text, what the backend keeps outside of the kernel; nil: nothing.
	Outside func(t testing.TB) string
	// NoMAC says that the backend's interfaces take no MAC.
	NoMAC bool
	// Guest changes each guest before anything is plugged in; nil leaves it.
	Guest func(t testing.TB, g *ns.Guest)
	// Change changes the Spec; nil leaves it.
	Change func(*pipework.Spec)
	// Drifts is how many there are of an interface that lost its addresses and is
	// down; 0 stands for 3.
	Drifts int
	// Peers says that guests on the same link reach each other.
	Peers bool
	// Alone says that only one guest at a time can have the link.
	Alone bool
	// Many runs the test of AttachAll and DetachAll, too, which takes as long as all
	// others.
	Many bool
}

// Run runs the contract.
func Run(t *testing.T, c Case) {
	for name, test := range map[string]func(*testing.T){
		"reach": c.reach, "again": c.again, "attach faults": c.attachFaults, "detach faults": c.detachFaults,
		"cancelled": c.cancelled, "race": c.race, "attach killed": c.attachKilled, "detach killed": c.detachKilled,
		"update": c.update, "update faults": c.updateFaults, "update killed": c.updateKilled,
		"detach cancelled": c.detachCancelled, "update cancelled": c.updateCancelled,
	} {
		t.Run(name, test)
	}
	if c.Many && !testing.Short() {
		t.Run("many", c.many)
		t.Run("many cancelled", c.manyCancelled)
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
	if c.Guest != nil {
		c.Guest(t, f.guest)
	}
	f.world = f.observe(t)
	return f
}

// observe reads the world with the fixture's guest, those beside, and more.
func (f *fixture) observe(t *testing.T, more ...*ns.Handle) *nstest.World {
	t.Helper()
	all := append([]*ns.Handle{f.guest.Handle}, more...)
	if f.Beside != nil {
		all = append(all, f.Beside()...)
	}
	w := nstest.Observe(t, all...)
	if f.Outside != nil {
		w.Also(t, f.Outside)
	}
	return w
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
	if c.Guest != nil {
		c.Guest(t, peer)
	}
	world := f.observe(t, peer.Handle)
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
	attached := f.observe(t)
	second := attach(t, f.target, f.spec())
	if !second.Existed || len(second.Mended) > 0 {
		t.Errorf("second attach: %+v", second)
	}
	second.Existed, first.Warnings, second.Warnings = false, nil, nil           // those of kernels and links differ
	first.Lease, second.Lease, first.Lease6, second.Lease6 = nil, nil, nil, nil // their times differ
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
		attached := f.observe(t)
		_, err := pipework.Detach(ctx, f.target, f.spec())
		if _, gone := pipework.Check(t.Context(), f.target, f.spec()); err != nil && !errors.Is(gone, fs.ErrNotExist) {
			attached.Unchanged(t)
		}
		detach(t, f.target, f.spec())
		f.world.Unchanged(t)
		return err
	})
	t.Logf("%d steps", steps)
}

// attachKilled ends the work at every step, with no clean-up. What that leaves is
// taken away by Detach and Collect, or, at every other step, made whole before by
// the same Attach.
func (c Case) attachKilled(t *testing.T) {
	f := c.fixture(t)
	spec := f.spec()
	if !c.NoMAC {
		spec.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 7} // by which a DHCP server knows it
	}
	attach(t, f.target, spec)
	attached := f.observe(t)
	f.clear(t, spec)
	again := false
	steps := fails(t, every(), fault.Kill, func(ctx context.Context) error {
		_, err := pipework.Attach(ctx, f.target, spec)
		if again = !again; again {
			attach(t, f.target, spec)
			collect(t)
			attached.Alike(t)
		}
		f.clear(t, spec)
		return err
	})
	t.Logf("%d steps", steps)
}

// detachKilled does the same to Detach, which the next one, and Collect, finish.
func (c Case) detachKilled(t *testing.T) {
	f := c.fixture(t)
	fails(t, every(), fault.Kill, func(ctx context.Context) error {
		attach(t, f.target, f.spec())
		_, err := pipework.Detach(ctx, f.target, f.spec())
		f.clear(t, f.spec())
		return err
	})
}

// clear detaches and collects, after which nothing may be left.
func (f *fixture) clear(t *testing.T, s pipework.Spec) {
	t.Helper()
	detach(t, f.target, s)
	collect(t)
	f.world.Unchanged(t)
}

func collect(t *testing.T) {
	t.Helper()
	if _, err := pipework.Collect(t.Context()); err != nil {
		t.Error(err)
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

// many plugs two guests in together, one of them twice, and unplugs them, and makes
// each step of that fail in turn: what failed is undone, the rest is complete.
func (c Case) many(t *testing.T) {
	f := c.fixture(t)
	target, guest := nstest.Guest(t)
	jobs := f.jobs(target)
	world := f.observe(t, guest.Handle)
	steps := EveryStep(t, func(ctx context.Context) error {
		out, failed := pipework.AttachAll(ctx, jobs)
		eachIs(t, jobs, out, failed)
		_, ended := pipework.DetachAll(ctx, jobs)
		failed = errors.Join(failed, ended)
		if _, err := pipework.DetachAll(t.Context(), jobs); err != nil {
			t.Error(err)
		}
		world.Unchanged(t)
		return failed
	})
	t.Logf("%d steps", steps)
}

// jobs plug the fixture's guest in twice, and another one.
func (f *fixture) jobs(target pipework.Target) []pipework.Job {
	one, two, again := f.spec(), f.spec(), f.spec()
	two.Addrs, two.Gateways = []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}, nil
	again.Addrs, again.Gateways = []netip.Prefix{netip.MustParsePrefix("10.1.0.3/24")}, nil
	again.Name = "net2"
	return []pipework.Job{{Target: f.target, Spec: one}, {Target: target, Spec: two}, {Target: f.target, Spec: again}}
}

// eachIs makes sure that each job is done, or undone with an error.
func eachIs(t *testing.T, jobs []pipework.Job, out []*pipework.Attachment, err error) {
	t.Helper()
	var failed pipework.JobErrors
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("%T: %v", err, err)
	}
	for i, j := range jobs {
		at, missing := pipework.Check(t.Context(), j.Target, j.Spec)
		switch {
		case out[i] == nil && failed[i] != nil && errors.Is(missing, fs.ErrNotExist):
		case out[i] != nil && (failed == nil || failed[i] == nil) && missing == nil && len(at.Drifts) == 0:
		default:
			t.Errorf("jobs[%d]: %v, %v; check: %+v, %v", i, out[i], failed, at, missing)
		}
	}
}
