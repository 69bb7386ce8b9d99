// Package watch keeps guests plugged in as was declared: a reconciler. A [Watcher]
// observes guests and their interfaces, reads what is desired from the records of package
// keep and from the containers themselves, plans what is to be done, and applies it,
// whenever one of them changes.
package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A Watcher keeps guests plugged in as was declared: it plugs them in again when
// they start, keeps their leases, and cleans up after dead ones.
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
	// leaves them alone. The other guests that links name are found by its Find, or else
	// its Target, or else the Sources.
	Plugger keep.Plugger
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
	// Resync is how often each guest's interfaces are compared with what is declared, for
	// what nobody tells of: a link that was set down, or taken from its bridge; 0 stands
	// for a minute, less than 0 for never. What differs is mended. What differs in the same
	// way again within a minute of that stays so until the guest's next start, and is told;
	// what comes back later is mended again, and has to stay away twice as long the next
	// time, up to an hour or twice the Resync. What was renamed in the guest stays so. What
	// a DHCP client program is at work on is left to that.
	Resync time.Duration
	// Log hears what is done, and what fails; nil is silence.
	Log *slog.Logger
	// Notify tells a service manager of states, see [Systemd]; nil tells nobody.
	// Watchdog is how often it wants to hear that all is well; 0: never.
	Notify   func(state string)
	Watchdog time.Duration

	metrics metrics
	probe   time.Duration // of comparisons, for other hosts; 0: probeTime
}

// Run works until ctx ends, whose cause it returns. Interfaces stay as they are
// then. While another Watcher works by the same records, in whatever process, the
// error satisfies fs.ErrExist.
func (w *Watcher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unlock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	plugger := w.Plugger
	if plugger.OVS == nil {
		plugger.OVS = new(ovs.Client)
		defer func() { _ = plugger.OVS.Close() }()
	}
	if plugger.Target == nil {
		plugger.Target = w.bySource
	}
	if plugger.Find == nil {
		plugger.Find = plugger.Target
	}
	exits, err := newExits()
	if err != nil {
		return err
	}
	links, err := newLinks(ctx, plugger.Host)
	if err != nil {
		exits.close()
		return err
	}
	changes := newChanges(plugger.Store)
	if changes.lack != nil {
		logger{w.Log}.warn(ctx, changes.lack.Error())
	}
	r := w.newRun(&plugger, exits, changes)
	r.links = links
	links.changed, links.heard = r.shims.request, r.uplinks.heard
	defer r.end()
	r.run(ctx, cancel)
	return context.Cause(ctx)
}

// lock makes sure that no other Watcher works by the same records.
func (w *Watcher) lock(ctx context.Context) (unlock func(), err error) {
	store := w.Plugger.Store
	if store == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	unlock, err = store.Lock(ctx, ns.Ref{}, "watch")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, errs.New(fs.ErrExist, "another watch is at work on the records in %s: end it first, or choose another directory", store.Dir())
	case err != nil:
		return nil, fmt.Errorf("records in %s: %w", store.Dir(), err)
	}
	return unlock, nil
}

// bySource is the Target of a Watcher that was given none: a container of a Source.
func (w *Watcher) bySource(ref ns.Ref) pipework.Target {
	if sources := sourcesOf(w.Sources, ref); len(sources) > 0 {
		return sources[0].Container(cmp.Or(ref.ID, ref.Base()))
	}
	return noTarget{ref}
}

// A noTarget is a guest that is not looked for.
type noTarget struct{ ns.Ref }

// Open fails, and does not say that the guest is not there.
func (n noTarget) Open(context.Context) (*ns.Guest, error) {
	return nil, errs.New(errors.ErrUnsupported, "%s: the Watcher has no Target to find it by", n.Ref)
}

// A logger is the Watcher's log, or none.
type logger struct{ *slog.Logger }

func (l logger) info(msg string, args ...any) {
	if l.Logger != nil {
		l.Info(msg, args...)
	}
}

// warn says what went wrong, unless that is because ctx has ended.
func (l logger) warn(ctx context.Context, msg string, args ...any) {
	if l.Logger != nil && ctx.Err() == nil {
		l.Warn(msg, args...)
	}
}

// loops runs functions until all have returned. An error of one ends the others.
func loops(cancel context.CancelCauseFunc, all ...func() error) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, loop := range all {
		wg.Go(func() {
			if err := loop(); err != nil {
				cancel(err)
			}
		})
	}
	return &wg
}
