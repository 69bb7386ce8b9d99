package keep

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// Collect puts right what killed calls and dead guests left, and returns each thing
// that it removed or brought back: attachments that a call was
// killed over, see [Plugger.Attach]; records of processes that have ended, which
// cannot come back; what [pipework.Collect] finds on the host; ports of Open
// vSwitch, where that runs. What cannot be put right is in the error, and does not
// keep the rest. Damaged records are set aside, and told there.
func (p *Plugger) Collect(ctx context.Context) (done []link.Collected, err error) {
	a := p.collector()
	c := collection{plugger: p, read: p.Store.All, do: func(f func() error) error { return f() }, host: a.Collect}
	err = c.run(ctx)
	return c.all, err
}

// Orphans returns what [Plugger.Collect] would do now, and does nothing of it. Of damaged records the error tells.
func (p *Plugger) Orphans(ctx context.Context) (would []link.Collected, err error) {
	a := p.collector()
	c := collection{plugger: p, read: p.Store.peek, do: func(func() error) error { return nil }, host: a.Orphans}
	err = c.run(ctx)
	return c.all, err
}

// collector is the Attacher, with Open vSwitch among its Collectors.
func (p *Plugger) collector() *pipework.Attacher {
	a := p.Attacher
	if !slices.Contains(a.Collectors, link.Collector(p.OVS)) {
		a.Collectors = append(slices.Clip(a.Collectors), p.OVS)
	}
	return &a
}

// A collection is one call of Collect, or of Orphans.
type collection struct {
	plugger *Plugger
	read    func() ([]Record, []error, error)               // all records, and what is wrong with others
	do      func(func() error) error                        // does it, or not
	host    func(context.Context) ([]link.Collected, error) // what is on the host
	all     []link.Collected
}

func (c *collection) run(ctx context.Context) error {
	failed := []error{c.records(ctx)}
	onHost, err := c.host(ctx)
	c.all = append(c.all, onHost...)
	return errs.Join(append(failed, err)...)
}

// records finishes what killed calls left, and forgets what cannot come back.
func (c *collection) records(ctx context.Context) error {
	if c.plugger.Store == nil {
		return nil
	}
	all, damaged, err := c.read()
	failed := append(damaged, err)
	for _, r := range all {
		if r.Phase != Attached || r.Guest.Ephemeral() || r.Namespace != nil {
			failed = append(failed, c.record(ctx, &r))
		}
	}
	return errs.Join(append(failed, c.do(func() error { return forgotten(ctx, c.plugger, c.plugger.Store.sweep()) }))...)
}

// busyTime is how long a record's lock is waited for. Who holds it longer is at
// work, not dead.
const busyTime = 100 * time.Millisecond

// record deals with one that is unfinished, or whose guest may have ended for good.
func (c *collection) record(ctx context.Context, r *Record) error {
	waiting, cancel := context.WithTimeout(ctx, busyTime)
	defer cancel()
	unlock, err := c.plugger.Store.Lock(waiting, r.Guest, r.Interface)
	if err != nil {
		return context.Cause(ctx)
	}
	defer unlock()
	r, err = c.plugger.Store.Get(r.Guest, r.Interface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	switch {
	case err != nil:
		return err
	case r.Phase != Attached:
		return c.take(r, "put right", "a call that was killed left it unfinished", func() error {
			_, err := recovery{c.plugger}.complete(ctx, r)
			return err
		})
	case !r.Guest.Ephemeral():
		return c.former(ctx, r)
	}
	g, err := c.plugger.Target(r.Guest).Open(ctx)
	if err == nil {
		return g.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
		return context.Cause(ctx) // it is not known whether it has ended
	}
	return c.take(r, "forgotten", "its process has ended", func() error { return forgotten(ctx, c.plugger, c.plugger.Store.Delete(r.Guest, r.Interface)) })
}

// take notes a record and does what is to be done about it.
func (c *collection) take(r *Record, done, why string, f func() error) error {
	if err := c.do(f); err != nil {
		return err
	}
	c.all = append(c.all, link.Collected{Done: done, Kind: "interface", Name: r.Interface, Guest: r.Guest, Why: why})
	return nil
}
