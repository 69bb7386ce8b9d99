//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"sync"

	"github.com/go-pipework/pipework/internal/errs"
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
// twice.
func (a *Attacher) all(ctx context.Context, op string, jobs []Job, do func(context.Context, []*item)) error {
	failed := make(JobErrors, len(jobs))
	host, err := openHost(ctx, a.Host)
	if err != nil {
		for i := range failed {
			failed[i] = &Error{Op: op, Stage: "guest", Err: err}
		}
		return failed.orNil()
	}
	defer closeHost(host, a.Host)
	host.Here = false // the items are worked on by other threads
	for begin := 0; begin < len(jobs); begin += atOnce {
		some := jobs[begin:min(begin+atOnce, len(jobs))]
		items := make([]*item, len(some))
		for i, j := range some {
			items[i] = &item{target: j.Target, index: begin + i}
			items[i].job = job{Attacher: a, op: op, spec: j.Spec.normal(), host: host, many: true}
		}
		parallel(items, func(i *item) { i.err = i.begin(ctx) })
		for _, round := range rounds(items) {
			do(ctx, round)
		}
		for _, i := range items {
			failed[i.index] = i.err
			i.end()
		}
	}
	return failed.orNil()
}

// begin validates the Spec and opens the guest. One that is gone is no error of a
// detach: what it left is cleaned up.
func (i *item) begin(ctx context.Context) error {
	var wrong error
	if i.op == "attach" {
		wrong = i.spec.validate()
	} else if err := link.ValidName(i.spec.Name); err != nil {
		wrong = errs.New(fs.ErrInvalid, "%w", err)
	}
	if wrong != nil {
		return i.fail("spec", wrong)
	}
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

// end closes what begin opened.
func (i *item) end() {
	if i.opened {
		i.close()
	}
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
			i.err = i.fail("guest", err)
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

// parallel calls f for every item, each in a goroutine of its own.
func parallel(items []*item, f func(*item)) {
	var wg sync.WaitGroup
	for _, i := range items {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
