package ovsdb

import (
	"context"
	"time"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// A Transactor runs transactions, all of them on one database. [Client] is one,
// and libovsdb's client is.
type Transactor interface {
	Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error)
}

// answerTime bounds the wait for an answer where ctx does not.
const answerTime = 30 * time.Second

var errNoAnswer = errs.New(context.DeadlineExceeded, "nothing within %v", answerTime)

// Run runs one transaction; what names it in tests. Each operation must have done
// what is expected of it. When the call returns with an error that is no
// [Refusal], the server may or may not have committed it, or may do so later. It
// waits no longer than 30 seconds, also where ctx has no end.
func Run(ctx context.Context, t Transactor, what string, ops []Op) ([]Result, error) {
	if err := fault.Step(ctx, "ovsdb transact "+what); err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, answerTime, errNoAnswer)
		defer cancel()
	}
	list := make([]libovsdb.Operation, len(ops))
	for i, op := range ops {
		list[i] = op.Operation
	}
	all, err := t.Transact(ctx, list...)
	if err != nil {
		return nil, err
	}
	return results(all, ops)
}
