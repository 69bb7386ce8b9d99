package ovs

import (
	"context"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
)

// gatherTime is how long those that leave a shared connection's bridges wait for others
// that do: many attaches fail at the same time.
const gatherTime = 5 * time.Millisecond

// A leaver takes ports back after a failure, many that fail at the same time
// together: a server that is hung keeps only some dozens of connections for later.
type leaver struct {
	turn    sync.Mutex // of who takes back what waits
	mu      sync.Mutex
	waiting []leaving
}

type leaving struct {
	*joining
	done chan error
}

// leaver is the one of all calls that share the Client; a nil Client is shared by those
// of one call.
func (c *Client) leaver() *leaver {
	if c == nil {
		return new(leaver)
	}
	return &c.back
}

// leave is the undo of a join, whatever became of that.
func (l *leaver) leave(ctx context.Context, j *joining) error {
	unpinned := j.unpin(ctx)
	me := leaving{j, make(chan error, 1)}
	l.mu.Lock()
	l.waiting = append(l.waiting, me)
	l.mu.Unlock()
	time.Sleep(gatherTime)
	l.turn.Lock()
	defer l.turn.Unlock()
	if some := l.next(); len(some) > 0 { // otherwise somebody took this one along
		err := leaveAll(context.WithoutCancel(ctx), some)
		for _, s := range some {
			s.done <- err
		}
	}
	return errs.Join(<-me.done, unpinned)
}

// next takes all that wait.
func (l *leaver) next() (some []leaving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	some, l.waiting = l.waiting, nil
	return some
}

// leaveAll removes the ports, the bridges that were created for them and have no
// others, and those that pipework made and that have none any more.
func leaveAll(ctx context.Context, some []leaving) error {
	failed := make([]error, len(some))
	for i, j := range some {
		failed[i] = j.err
	}
	if err := some[0].takeBack(ctx, failed, reverse(some)); err != nil {
		return err
	}
	return some[0].alone(ctx, func(ctx context.Context, s *Client) error { return releaseAll(ctx, s, some) })
}

// reverse is what takes everything away again: the ports, and each bridge that was
// created for one of them and has no other.
func reverse(some []leaving) [][]ovsdb.Op {
	var ops []ovsdb.Op
	for _, j := range some {
		ops = append(ops, removePort(j.port))
	}
	next := ovsdb.Reconfigure()
	all := [][]ovsdb.Op{append(ops, next[:]...)}
	for _, j := range some {
		if j.creates {
			unused := ovsdb.Guard("Bridge", ovsdb.IsRow(j.bridge), "ports", []ovsdb.UUID{j.local})
			all = append(all, removeBridge(j.bridge, unused))
		}
	}
	return all
}

func releaseAll(ctx context.Context, s *Client, some []leaving) error {
	released := make(map[string]bool)
	for _, j := range some {
		if released[j.Name] {
			continue
		}
		released[j.Name] = true
		if err := j.release(ctx, s, j.at.Host); err != nil {
			return err
		}
	}
	return nil
}
