package dhcp

import (
	"container/heap"
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Kept is one lease to be kept.
type Kept struct {
	// Target finds the guest. It is opened for each exchange and closed after it.
	Target ns.Target
	// Interface is the interface's name inside the guest.
	Interface string
	// Port is the name of that port of the bridge Interface which servers are behind; see
	// [Client.Port]. "" is none.
	Port string
	// Config is how to ask; its Family is the lease's, IPv4 or IPv6.
	Config Config
	// Lease is what was acquired, and given to the interface, before.
	Lease *Lease
	// Apply makes the guest's interface what the new lease says; it was what the
	// old one says. A nil new takes everything away, a nil old means that nothing
	// is there. The guest is open until Apply returns. It is called for every
	// extension, since the address's lifetime changes; an error makes the Keeper
	// ask and call again.
	Apply func(ctx context.Context, g *ns.Guest, old, new *Lease) error
	// Event hears what happens; nil hears nothing. It is called from the Keeper's
	// goroutines, for one Kept never twice at once, and delays only that one.
	Event func(Event)
}

// A Keeper keeps any number of leases alive (RFC 2131 section 4.4.5): it renews
// each at T1 from its server, from T2 on at any server, and begins anew when it
// was refused or expired. The zero value is ready; add leases with Add, before or
// while Run runs.
//
// No server can make it ask without end. A renewal comes a second and a sixtieth
// of the lease after the last one at the earliest, a minute at most, whatever T1
// the server says. Where new leases are lost before they were extended, discovery
// waits a second, then twice as long each time, up to a minute.
//
// Run has two goroutines, and one more for each exchange at work, which are at
// most Parallel. A lease that waits holds no goroutine, socket or thread, and of
// its guest only a pidfd, where it has a process: that keeps nothing alive, and
// tells at once when it ends.
//
// A server on the link is asked by frames, which need no entry in the kernel's
// table of neighbours; see [Lease.ServerMAC]. That table is one for all namespaces
// of a machine, and by default holds 1024 (net.ipv4.neigh.default.gc_thresh3).
type Keeper struct {
	// Parallel bounds how many exchanges are made at once; 0 stands for 32.
	Parallel int

	mu    sync.Mutex
	all   map[*entry]struct{}
	queue queue
	wake  chan struct{}
	watch *watch                                         // while Run runs
	open  func(context.Context, *entry) (session, error) // tests replace it
}

// An entry is a Kept at work. Its fields but at and removed belong to whoever
// took it off the queue.
type entry struct {
	Kept
	guest   ns.Identity
	inode   ns.Inode
	mac     net.HardwareAddr
	lease   *Lease    // nil when it was lost
	at      time.Time // when it is due
	place   int       // in the queue; -1: at work, or removed
	removed bool
	cancel  context.CancelFunc // ends the exchange at work
	pidfd   int                // 0: none

	discover time.Time     // not before this
	wait     time.Duration // that made it so
}

// A session is an open guest, for one exchange.
type session interface {
	Acquire(ctx context.Context, last *Lease) (*Lease, error)
	Renew(context.Context, *Lease) (*Lease, error)
	Rebind(context.Context, *Lease) (*Lease, error)
	Guest() *ns.Guest
	Close()
}

// Add begins to keep a lease. remove ends that, and waits for nothing; the lease
// stays in force until it expires or is released. A guest that is not there is an
// error that satisfies fs.ErrNotExist.
func (k *Keeper) Add(ctx context.Context, kept Kept) (remove func(), err error) {
	if f := kept.Config.Family; f == Both || kept.Lease != nil && kept.Lease.family() != f {
		return nil, errs.New(fs.ErrInvalid, "dhcp: keep %s: the family %q is not that of one lease", kept.Interface, f)
	}
	e := &entry{Kept: kept, lease: kept.Lease, place: -1}
	if e.lease != nil { // it was discovered just now
		e.rest(nil)
	}
	if err := e.identify(ctx); err != nil {
		return nil, err
	}
	if err := k.enrol(e); err != nil {
		e.forget()
		return nil, err
	}
	k.put(e, e.due())
	return func() { k.remove(e) }, nil
}

// enrol has the end of e's process told, from now on or from when Run runs.
func (k *Keeper) enrol(e *entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[*entry]struct{}{}
	}
	if k.watch != nil {
		if err := k.watch.add(e); err != nil {
			return err
		}
	}
	k.all[e] = struct{}{}
	return nil
}

// due is when a bound lease wants attention. Leases that were got together are
// spread a little.
func (e *entry) due() time.Time {
	if e.lease == nil {
		return time.Now()
	}
	if e.lease.Expires.IsZero() {
		return time.Time{}
	}
	if e.lease.Renew.IsZero() { // nobody knows: it was read from an interface
		return time.Now()
	}
	spread := int64(e.lease.Rebind.Sub(e.lease.Renew) / 10)
	return e.lease.Renew.Add(time.Duration(rand.Int64N(max(1, spread))))
}

// put queues e for a time, unless it was removed; the zero time is never.
func (k *Keeper) put(e *entry, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e.cancel = nil
	if e.removed {
		e.forget()
		return
	}
	if e.at = at; !at.IsZero() {
		heap.Push(&k.queue, e)
	}
	k.signal()
}

// signal wakes Run. The lock is held.
func (k *Keeper) signal() {
	if k.wake == nil {
		k.wake = make(chan struct{}, 1)
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// remove reports whether e was kept until now.
func (k *Keeper) remove(e *entry) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.removed {
		return false
	}
	e.removed = true
	if e.place >= 0 {
		heap.Remove(&k.queue, e.place)
	}
	if e.cancel != nil {
		e.cancel()
	}
	delete(k.all, e)
	if e.cancel == nil {
		e.forget() // otherwise put does it, when the exchange at work is over
	}
	return true
}

// Run keeps the leases until ctx ends, whose cause it returns. It releases none,
// and forgets them all then. Only one Run may run at a time.
func (k *Keeper) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wake, stop, err := k.start(&wg)
	if err != nil {
		return err
	}
	defer stop()
	return k.drive(ctx, wake, &wg)
}

// drive starts an exchange whenever an entry is due and a slot is free.
func (k *Keeper) drive(ctx context.Context, wake <-chan struct{}, wg *sync.WaitGroup) error {
	parallel := k.Parallel
	if parallel <= 0 {
		parallel = 32
	}
	slots := make(chan struct{}, parallel)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		e, work := k.next(ctx, wake)
		if e == nil {
			return context.Cause(ctx)
		}
		wg.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			k.put(e, e.spaced(k.attend(work, e), began))
		})
	}
}

// start begins to hear of guests that end. stop forgets every entry.
func (k *Keeper) start(wg *sync.WaitGroup) (wake <-chan struct{}, stop func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, err := newWatch()
	if err != nil {
		return nil, nil, err
	}
	for e := range k.all {
		err = errs.Join(err, w.add(e))
	}
	if err != nil {
		w.close()
		return nil, nil, err
	}
	k.watch = w
	k.signal()
	wg.Go(func() {
		for pidfds := w.wait(); pidfds != nil; pidfds = w.wait() {
			k.bury(pidfds)
		}
	})
	return k.wake, k.stop, nil
}

// bury ends the entries whose process has ended.
func (k *Keeper) bury(pidfds []int) {
	k.mu.Lock()
	dead := map[*entry]error{}
	for e := range k.all {
		if slices.Contains(pidfds, e.pidfd) {
			if err := e.dead(); err != nil {
				dead[e] = err
			}
		}
	}
	k.mu.Unlock()
	for e, err := range dead {
		k.ended(e, err)
	}
}

func (k *Keeper) stop() {
	k.mu.Lock()
	k.watch.close()
	k.watch = nil
	all := slices.Collect(maps.Keys(k.all))
	k.mu.Unlock()
	for _, e := range all {
		k.remove(e)
	}
}

// next waits until an entry is due; nil when ctx ended.
func (k *Keeper) next(ctx context.Context, wake <-chan struct{}) (*entry, context.Context) {
	for {
		k.mu.Lock()
		wait := time.Hour
		if len(k.queue) > 0 {
			wait = time.Until(k.queue[0].at)
		}
		if wait <= 0 {
			e := heap.Pop(&k.queue).(*entry)
			work, cancel := context.WithCancel(ctx)
			e.cancel = cancel
			k.mu.Unlock()
			return e, work
		}
		k.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-wake:
		case <-ctx.Done():
			t.Stop()
			return nil, nil
		}
		t.Stop()
	}
}

// attend does what is due for e, and returns when it wants attention again.
func (k *Keeper) attend(ctx context.Context, e *entry) time.Time {
	defer func() {
		k.mu.Lock()
		if e.cancel != nil {
			e.cancel()
		}
		k.mu.Unlock()
	}()
	open := k.open
	if open == nil {
		open = openSession
	}
	s, err := open(ctx, e)
	if errors.Is(err, fs.ErrNotExist) {
		k.ended(e, err)
		return time.Time{}
	}
	if err != nil {
		return e.failed(ctx, err)
	}
	defer s.Close()
	return e.attend(ctx, s)
}

// ended says that the guest is gone, once.
func (k *Keeper) ended(e *entry, why error) {
	if k.remove(e) {
		e.tell(Ended, nil, why)
	}
}

// A queue is a heap of entries, the next due first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push adds an entry; see container/heap.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop takes the last entry; see container/heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.place = -1
	return e
}

// Keep keeps leases of one guest until ctx ends, whose cause it returns, or until the
// guest or one of their interfaces is gone, which is an error that satisfies
// fs.ErrNotExist.
func Keep(ctx context.Context, all ...Kept) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	k := &Keeper{Parallel: max(1, len(all))}
	for _, kept := range all {
		event := kept.Event
		kept.Event = func(ev Event) {
			if event != nil {
				event(ev)
			}
			if ev.Kind == Ended {
				cancel(ev.Err)
			}
		}
		remove, err := k.Add(ctx, kept)
		if err != nil {
			return err
		}
		defer remove()
	}
	return k.Run(ctx)
}
