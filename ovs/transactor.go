package ovs

import (
	"context"
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
// without it: what Transact then still commits is taken back only if that reaches
// the server before the undo does.
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
	answered := make(chan answer, 1)
	go func() {
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
		return nil, fmt.Errorf("no answer from OVSDB by the given Transactor: %w", context.Cause(ctx))
	}
}
