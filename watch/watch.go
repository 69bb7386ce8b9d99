// Package watch keeps guests plugged in as was declared. A [Watcher] plugs in again what
// the records of package keep, or the containers themselves, declare, whenever they start.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A Watcher keeps guests plugged in as was declared: it plugs them in again when
// they start, keeps their leases, and puts right what the dead left behind.
//
// Declared is what the containers of its Sources say (see config.Declarations),
// and what the Store has records of: what was plugged in from the command line
// counts until it is detached. Of both for one interface the record counts.
//
// It holds no thread and no goroutine for a guest that waits, and nothing of it
// but a pidfd. A Watcher that is killed at any moment and started again does what
// is left to do. Fields must not be changed while Run runs.
type Watcher struct {
	// Plugger plugs in. Its Store has the records, nil: there are none; its Target
	// finds the guests of records that no Source tells of, such as netns:blue, nil
	// leaves them alone.
	keep.Plugger
	// Sources tell of containers that start and end. Names in records mean
	// containers of the first one of their kind.
	Sources []ns.Source
	// Declarations says what containers may declare.
	Declarations config.Declarations
	// Machine makes the MACs of this machine's containers differ from those of
	// another's containers with the same names, such as the content of
	// /etc/machine-id.
	Machine string
	// Poll is how often a guest is looked at that neither a source nor the end of a
	// process tells of, such as netns:blue; 0 stands for 30 s.
	Poll time.Duration
	// Log hears what is done, and what fails; nil is silence.
	Log *slog.Logger
	// Notify tells a service manager of states, see [Systemd]; nil tells nobody.
	// Watchdog is how often it wants to hear that all is well; 0: never.
	Notify   func(state string)
	Watchdog time.Duration

	metrics metrics
}

// A run is one call of Run.
type run struct {
	*Watcher
	ctx    context.Context
	jobs   sync.WaitGroup
	slots  chan struct{} // bounds how many guests are worked on at once
	keeper dhcp.Keeper
	deaths *deaths
	swept  chan struct{} // asks for a collection
	held   held          // the records
	tool   keep.Plugger  // the Watcher's, with a connection to Open vSwitch

	mu      sync.Mutex
	guests  map[ref]*guest
	synced  map[ns.Source]bool // those that were asked once, also in vain
	seen    map[string]string  // the records that were seen last
	removed bool               // containers were removed, whose records are to go
}

// Limits of what is done at once, and how soon again.
const (
	parallel   = 64
	jobTime    = time.Minute            // for one interface, a DHCP server's time included
	settleTime = 2 * time.Second        // after a death, until what it left is collected
	firstRetry = 50 * time.Millisecond  // doubled each time
	lastRetry  = 30 * time.Second       // and not more
	reconnect  = 100 * time.Millisecond // to a source, at first
)

// Run works until ctx ends, whose cause it returns. Interfaces stay as they are
// then. While another Watcher works by the same records, in whatever process, the
// error satisfies fs.ErrExist.
func (w *Watcher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{
		Watcher: w, ctx: ctx, slots: make(chan struct{}, parallel), swept: make(chan struct{}, 1),
		guests: map[ref]*guest{}, synced: map[ns.Source]bool{},
	}
	unlock, err := w.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if r.tool = w.Plugger; r.tool.OVS == nil {
		r.tool.OVS = new(ovs.Client)
		defer func() { _ = r.tool.OVS.Close() }()
	}
	if r.tool.Target == nil {
		r.tool.Target = func(ref ns.Ref) pipework.Target { return noTarget{ref} }
	}
	if r.deaths, err = newDeaths(); err != nil {
		return err
	}
	defer r.end()
	changes, err := r.changes()
	if err != nil {
		return err
	}
	loops := []func() error{
		func() error { return r.keeper.Run(ctx) },
		r.bury, r.sweeps, r.beat,
		func() error { return r.followStore(changes) },
	}
	for _, s := range w.Sources {
		loops = append(loops, func() error { return r.follow(s) })
	}
	var wg sync.WaitGroup
	for _, loop := range loops {
		wg.Go(func() {
			if err := loop(); err != nil {
				cancel(err)
			}
		})
	}
	if len(w.Sources) == 0 {
		r.ready()
	}
	<-ctx.Done()
	r.notify("STOPPING=1")
	r.deaths.close()
	wg.Wait()
	return context.Cause(ctx)
}

// A noTarget is a guest that is not looked for.
type noTarget struct{ ns.Ref }

// Open fails, and does not say that the guest is not there.
func (n noTarget) Open(context.Context) (*ns.Guest, error) {
	return nil, errs.New(errors.ErrUnsupported, "%s: the Watcher has no Target to find it by", n.Ref)
}

// alone makes sure that no other Watcher works by the same records.
func (w *Watcher) alone(ctx context.Context) (unlock func(), err error) {
	if w.Store == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	unlock, err = w.Store.Lock(ctx, ns.Ref{}, "watch")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, errs.New(fs.ErrExist, "another watch is at work on the records in %s: end it first, or choose another directory", w.Store.Dir())
	case err != nil:
		return nil, fmt.Errorf("records in %s: %w", w.Store.Dir(), err)
	}
	return unlock, nil
}

// end waits for what is at work, and lets every guest go.
func (r *run) end() {
	r.mu.Lock()
	for _, g := range r.guests {
		g.stopTimer()
	}
	r.mu.Unlock()
	r.jobs.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, g := range r.guests {
		g.clear()
		delete(r.guests, k)
	}
}

// beat tells the service manager that nothing hangs.
func (r *run) beat() error {
	if r.Watchdog <= 0 {
		return nil
	}
	for pause.For(r.ctx, r.Watchdog/2) == nil {
		_ = r.idle() // takes the lock, and so hangs when everything does
		r.notify("WATCHDOG=1")
	}
	return nil
}

func (r *run) notify(state string) {
	if r.Notify != nil {
		r.Notify(state)
	}
}

func (r *run) info(msg string, args ...any) {
	if r.Log != nil {
		r.Log.Info(msg, args...)
	}
}

func (r *run) warn(msg string, args ...any) {
	if r.Log != nil && r.ctx.Err() == nil {
		r.Log.Warn(msg, args...)
	}
}
