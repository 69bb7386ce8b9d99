//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"testing"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/ovs"
)

// transactorFunc is a Transactor that is one function.
type transactorFunc func(context.Context, []libovsdb.Operation) ([]libovsdb.OperationResult, error)

func (f transactorFunc) Transact(ctx context.Context, ops ...libovsdb.Operation) ([]libovsdb.OperationResult, error) {
	return f(ctx, ops)
}

// TestTransactorHangs has a Transactor that does not heed its context, as libovsdb's
// while it writes: the call ends with it.
func TestTransactorHangs(t *testing.T) {
	release, returned := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	c := &ovs.Client{Transactor: transactorFunc(func(context.Context, []libovsdb.Operation) ([]libovsdb.OperationResult, error) {
		defer close(returned)
		cancel(why)
		<-release
		return nil, nil
	})}
	if _, err := c.IsBridge(ctx, "lan"); !errors.Is(err, why) {
		t.Error(err)
	}
	close(release)
	<-returned
}

// TestTransactorBounded sees that no call waits without an end.
func TestTransactorBounded(t *testing.T) {
	c := &ovs.Client{Transactor: transactorFunc(func(ctx context.Context, ops []libovsdb.Operation) ([]libovsdb.OperationResult, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a transaction may take as long as it likes")
		}
		all := make([]libovsdb.OperationResult, len(ops))
		all[0].Rows = []libovsdb.Row{{}}
		return all, nil
	})}
	if got, err := c.IsBridge(context.Background(), "lan"); !got || err != nil {
		t.Error(got, err)
	}
}

// TestTransactorShort has one that returns less than it was asked for, and one that
// fails.
func TestTransactorShort(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct{ err, is error }{{nil, nil}, {broken, broken}} {
		c := &ovs.Client{Transactor: transactorFunc(func(context.Context, []libovsdb.Operation) ([]libovsdb.OperationResult, error) {
			return nil, tc.err
		})}
		if got, err := c.IsBridge(t.Context(), "lan"); got || err == nil || tc.is != nil && !errors.Is(err, tc.is) {
			t.Error(got, err)
		}
	}
}
