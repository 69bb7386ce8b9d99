package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// links hears of what happens to the host's links.
type links struct {
	events *rtnl.LinkEvents
	host   *ns.Handle
	known  map[string]known // the host's links, by their names
	wakes  wakes
	heard  func(name string) // of each event, beside guests; nil: nobody hears
	// changed hears that something has happened; nil: nobody does.
	changed func()
}

// A known is what was told of a link last.
type known struct {
	index   int
	carrier bool
	downs   uint32 // how often it had lost its carrier
}

// newLinks listens on the host; nil stands for the namespace that this process is in.
func newLinks(ctx context.Context, host *ns.Handle) (*links, error) {
	l := &links{host: host, known: map[string]known{}, wakes: wakes{}}
	err := onhost.Do(ctx, host, func(h link.Host) error {
		err := h.Do(ctx, func() (err error) {
			l.events, err = rtnl.NewLinkEvents()
			return err
		})
		if err != nil {
			return err
		}
		if err = l.read(ctx, h); err != nil {
			l.close()
		}
		return err
	})
	return l, err
}

// read reads what links the host has.
func (l *links) read(ctx context.Context, h link.Host) error {
	all, err := rtnl.Links(ctx, h.Conn)
	if err != nil {
		return err
	}
	clear(l.known)
	for _, one := range all {
		l.known[one.Name] = known{one.Index, one.Running, one.Downs}
	}
	return nil
}

func (l *links) close() { l.events.Close() }

// follow has guests compared with what is declared, if they are to be, soon after something
// has happened to a link of the host that they use, until ctx ends.
//
//nolint:revive // as Watcher.Resync says
func (l *links) follow(ctx context.Context, q *queue, compare bool) error {
	defer l.close()
	if !compare {
		return nil
	}
	defer context.AfterFunc(ctx, l.close)()
	for {
		events, lost, err := l.events.Next(l.wakes.next())
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch the host's interfaces: %w", err)
		}
		now := time.Now()
		if lost {
			l.lost(ctx, q, now)
		}
		if l.changed != nil && (lost || len(events) > 0) {
			l.changed()
		}
		for _, e := range events {
			name, kind := l.about(e)
			if l.heard != nil {
				l.heard(name)
			}
			for _, k := range q.users(name, kind) {
				l.wakes.add(k, now)
			}
		}
		for _, k := range l.wakes.due(now) {
			q.wake(ctx, k)
		}
	}
}

// lost has every guest compared, since events were lost, and reads the links again, by which
// later events are told apart. Where that fails, what was known of them stays.
func (l *links) lost(ctx context.Context, q *queue, now time.Time) {
	_ = onhost.Do(ctx, l.host, func(h link.Host) error { return l.read(ctx, h) })
	for _, k := range q.known() {
		l.wakes.add(k, now)
	}
}

// about is the link that an event is about, and kind of it.
func (l *links) about(e rtnl.LinkEvent) (name string, k use) {
	if !e.Unfiltered {
		return e.Name, l.kind(e)
	}
	for name, is := range l.known {
		if is.index == e.Index {
			return name, hostEnd
		}
	}
	return "", 0
}

// kind tells which users an event matters to: to a guest whose end on the host it is of that
// this is gone, down, out of its bridge, or without carrier, as when the interface in the guest
// was set down, with which the kernel drops addresses and routes; to those on a bridge or a parent that this is
// another one now. One that is gone may come back at once.
func (l *links) kind(e rtnl.LinkEvent) (k use) {
	was, isKnown := l.known[e.Name]
	if e.Gone || e.Left || !e.Up || was.lostCarrier(e) {
		k |= hostEnd
	}
	if !e.Gone && !e.Left {
		if !isKnown { // it may have had another name
			maps.DeleteFunc(l.known, func(_ string, k known) bool { return k.index == e.Index })
		}
		l.known[e.Name] = known{e.Index, e.Carrier, e.Downs}
		if !isKnown || was.index != e.Index {
			k |= beneath
		}
	}
	if e.Gone {
		delete(l.known, e.Name)
	}
	return k
}

// lostCarrier says whether the link was without carrier since, also where it has that again: the
// kernel may tell of both at once, up to a second later.
func (k known) lostCarrier(e rtnl.LinkEvent) bool {
	return !e.Carrier || k.index == e.Index && k.carrier && k.downs != e.Downs
}
