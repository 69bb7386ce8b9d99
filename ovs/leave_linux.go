package ovs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// undoTime bounds how long an undo waits for each answer, and tries again where
// the server has closed the connection: it may be starting anew. A server that
// is hung has been told by then.
const (
	undoTime  = time.Second
	undoPause = 20 * time.Millisecond
)

// gatherTime is how long the first of many waits for the others, which undo what
// came after in the meantime.
const gatherTime = 5 * time.Millisecond

// A leaver takes ports back after a failure, many that fail at the same time
// together: a server that is hung keeps only some dozens of connections for later.
type leaver struct {
	gather time.Duration // before the first leaves

	mu      sync.Mutex
	busy    bool
	waiting []leaving
}

type leaving struct {
	*joining
	done chan error
}

// leave is the undo of a join, whatever became of that.
func (l *leaver) leave(ctx context.Context, j *joining) error {
	me := leaving{j, make(chan error, 1)}
	l.mu.Lock()
	l.waiting = append(l.waiting, me)
	first := !l.busy
	l.busy = true
	l.mu.Unlock()
	if first {
		time.Sleep(l.gather)
	}
	for first {
		some := l.next()
		if len(some) == 0 {
			break
		}
		err := leaveAll(ctx, some)
		for _, s := range some {
			s.done <- err
		}
	}
	return <-me.done
}

// next takes all that wait; where none do, the leaver is not busy any more.
func (l *leaver) next() (some []leaving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	some, l.waiting = l.waiting, nil
	l.busy = len(some) > 0
	return some
}

// leaveAll removes the ports, the bridges that were created for them and have no
// others, and those that pipework made and that have none any more. Each transaction
// goes by a connection of its own: a server that was hung carries out what came by
// the older connection first, and drops a connection that has been closed only after
// it took its first request.
func leaveAll(ctx context.Context, some []leaving) error {
	var failed []error
	for _, ops := range reverse(some) {
		failed = append(failed, some[0].alone(ctx, func(ctx context.Context, s *Client) error {
			_, err := s.transact(ctx, "take back", ops)
			return unless(ovsdb.TimedOut, err)
		}))
	}
	if err := errors.Join(failed...); err != nil {
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
	next := reconfigure()
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

// alone calls f with a client that nobody shares, or by the caller's Transactor,
// again while the connection fails, for a short time.
func (b Bridge) alone(ctx context.Context, f func(context.Context, *Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	s := new(Client)
	if b.Client != nil {
		s.Endpoint, s.TLS, s.Transactor = b.Client.Endpoint, b.Client.TLS, b.Client.Transactor
	}
	defer func() { _ = s.Close() }()
	for {
		err := f(ctx, s)
		if err == nil || errors.As(err, new(*ovsdb.Refusal)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(undoPause):
		}
	}
}
