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
const answerTime = 10 * time.Second

// ErrNoAnswer ends what [Bounded] bounds.
var ErrNoAnswer = errs.New(context.DeadlineExceeded, "nothing within %v", answerTime)

// Bounded is ctx, or where that has no end one that ends after ten seconds.
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, answerTime, ErrNoAnswer)
}

// Run runs one transaction; what names it in tests. Each operation must have done
// what is expected of it. When the call returns with an error that is no
// [Refusal], the server may or may not have committed it, or may do so later. It
// waits no longer than ten seconds, also where ctx has no end.
func Run(ctx context.Context, t Transactor, what string, ops []Op) ([]Result, error) {
	if err := fault.Step(ctx, "ovsdb transact "+what); err != nil {
		return nil, err
	}
	ctx, cancel := Bounded(ctx)
	defer cancel()
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
