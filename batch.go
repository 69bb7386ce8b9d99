//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"sync"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// atOnce bounds how many guests are worked on at the same time: each takes four
// files and, for moments, a thread.
const atOnce = 128

// An item is one of many jobs at work.
type item struct {
	job
	target Target
	index  int
	opened bool       // guest and connections; false for a guest that is gone
	unlock func()     // nil while the guest's lock is not held
	call   *link.Call // of the batch that it was plugged or unplugged in; nil: none
	err    error
}

// ready says whether the item has its guest's lock, and nothing failed.
func (i *item) ready() bool { return i.err == nil && i.unlock != nil }

// all works through the jobs, some at once, in rounds in which no guest appears
// twice. One job is a batch of one, which the calling thread works on. Each job's error
// is in its place.
func (a *Attacher) all(ctx context.Context, op string, jobs []Job, do func(context.Context, []*item)) JobErrors {
	failed := make(JobErrors, len(jobs))
	for begin := 0; begin < len(jobs); begin += atOnce {
		some := jobs[begin:min(begin+atOnce, len(jobs))]
		items := make([]*item, len(some))
		for i, j := range some {
			items[i] = &item{target: j.Target, index: begin + i}
			items[i].job = job{Attacher: a, op: op, spec: j.Spec.normal()}
			items[i].err = items[i].validate()
		}
		a.some(ctx, items, do)
		for _, i := range items {
			failed[i.index] = i.err
		}
	}
	return failed
}

// some works through those of the items whose Specs are right.
func (a *Attacher) some(ctx context.Context, items []*item, do func(context.Context, []*item)) {
	items = slices.DeleteFunc(slices.Clone(items), func(i *item) bool { return i.err != nil })
	if len(items) == 0 {
		return
	}
	host, err := a.openHost(ctx)
	if err != nil {
		for _, i := range items {
			i.err = i.fail(StageGuest, err)
		}
		return
	}
	release := func() { closeHost(host, a.Host) }
	host.Here = host.Here && len(items) == 1 // several are worked on by other threads
	parallel(items, func(i *item) {
		i.host = host
		i.err = i.begin(ctx)
	})
	for _, round := range rounds(items) {
		do(ctx, round)
	}
	if i := items[0]; len(items) == 1 && i.opened {
		i.close(release)
		return
	}
	for _, i := range items {
		if i.opened {
			i.close(func() {})
		}
	}
	release()
}

// begin opens the guest. One that is gone is no error of a detach: what it left is
// cleaned up.
func (i *item) begin(ctx context.Context) error {
	err := i.open(ctx, i.target)
	i.opened = err == nil
	if i.op != "detach" || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	i.unlock = func() {}
	if i.spec.Link != nil {
		i.remember(i.target)
	}
	return nil
}

// tryLock locks the guest unless somebody else is at work on it.
func (i *item) tryLock(ctx context.Context) {
	switch {
	case i.unlock != nil:
	case i.guest.Inode() == i.host.Inode():
		i.unlock = func() {} // see job.lock
	default:
		unlock, err := i.guest.Lock(ctx, 0)
		busy := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
		if i.unlock = unlock; err != nil && !busy {
			i.err = i.fail(StageGuest, err)
		}
	}
}

// rounds puts the items that have not failed into rounds, so that those of one
// guest come one after the other.
func rounds(items []*item) (all [][]*item) {
	seen := make(map[ns.Inode]int)
	for _, i := range items {
		if i.err != nil {
			continue
		}
		n := 0
		if i.opened {
			n = seen[i.guest.Inode()]
			seen[i.guest.Inode()]++
		}
		if n == len(all) {
			all = append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}

// batches groups the items that are ready by the type of their backend.
func batches(round []*item) [][]*item {
	var all [][]*item
	place := make(map[reflect.Type]int)
	for _, i := range round {
		kind := reflect.TypeOf(i.spec.Link)
		if !i.ready() || kind == nil {
			continue
		}
		n, known := place[kind]
		if !known {
			n = len(all)
			place[kind] = n
			all = append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}

// together makes one call of a batch.
func together(batch []*item, do func([]*link.Call)) {
	calls := make([]*link.Call, len(batch))
	for n, i := range batch {
		i.call = &link.Call{Backend: i.spec.Link, Port: &i.port, Undo: &i.undo}
		calls[n] = i.call
	}
	do(calls)
}

// parallel calls f for every item, each in a goroutine of its own; a single one in the
// caller's.
func parallel(items []*item, f func(*item)) {
	if len(items) == 1 {
		f(items[0])
		return
	}
	var wg sync.WaitGroup
	for _, i := range items {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
