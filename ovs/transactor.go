package ovs

import (
	"context"
	"errors"
	"fmt"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"
)

// A Transactor runs transactions on the database Open_vSwitch, for programs that
// have a connection already: libovsdb's connected client is one
// (github.com/ovn-org/libovsdb, client.NewOVSDBClient), with any model of that
// database, without a monitor.
//
// Transact returns one result for each operation, in their order, and one more
// where the commit failed. An operation that the server refused is an Error in its
// result, not an error of Transact. The operations of one call are one
// transaction; calls of one goroutine reach the server in their order. Transact is
// called by several goroutines at once, and with a wait operation takes up to two
// seconds. It should return when ctx ends. Where it does not, the attach does
// without it: what Transact then still commits is taken back where it returns
// within the next second, or if it reaches the server before the undo does.
type Transactor interface {
	Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error)
}

// punctual makes each call of a Transactor end with its context. libovsdb's
// client does not heed that while it writes to a server that takes nothing.
type punctual struct{ Transactor }

func (p punctual) Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error) {
	type answer struct {
		results []libovsdb.OperationResult
		err     error
	}
	answered, over := make(chan answer, 1), make(chan struct{})
	go func() {
		defer close(over)
		all, err := p.Transactor.Transact(ctx, ops...)
		answered <- answer{all, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, fmt.Errorf("OVSDB by the given Transactor: %w", a.err)
		}
		return a.results, nil
	case <-ctx.Done():
		return nil, &late{fmt.Errorf("no answer from OVSDB by the given Transactor: %w", context.Cause(ctx)), over}
	}
}

// late is the error of a call that was given up and has not returned yet.
type late struct {
	error
	over <-chan struct{}
}

func (l *late) Unwrap() error { return l.error }

// wait waits until what err says to be late has returned, or ctx ends.
func wait(ctx context.Context, err error) {
	var l *late
	if !errors.As(err, &l) {
		return
	}
	select {
	case <-l.over:
	case <-ctx.Done():
	}
}
