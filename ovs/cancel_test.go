//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/ovs"
)

// cancelled attaches all jobs at the same time, and has each one's context end as
// soon as when says so of one of its steps.
func cancelled(t *testing.T, all []pipework.Job, when func(step string) bool) {
	t.Helper()
	var wg sync.WaitGroup
	for i, job := range all {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ctx = fault.With(ctx, func(step string) error {
				if when(step) {
					time.AfterFunc(time.Duration(i%10)*100*time.Microsecond, cancel)
				}
				return nil
			})
			if _, err := pipework.Attach(ctx, job.Target, job.Spec); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			} else if err == nil {
				detach(t, job.Target, job.Spec)
			}
		})
	}
	wg.Wait()
}

// TestCancelTogether ends many attaches at the same time, which share a connection:
// each takes back what the server may carry out only later.
func TestCancelTogether(t *testing.T) {
	b := newBench(t)
	c := &ovs.Client{Endpoint: b.Endpoint}
	all, guests := jobs(t, 30, ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c})
	world := nstest.Observe(t, guests...)
	for range 3 {
		for _, what := range []string{"add port", "wait for port"} {
			cancelled(t, all, func(step string) bool { return step == "ovsdb transact "+what })
			b.clean(t)
		}
	}
	_ = c.Close()
	b.clean(t)
	world.Unchanged(t)
}

// TestCancelTogetherHung is that before a server that is stopped meanwhile, and goes on
// while they take back, or afterwards, with the connection still open or not.
func TestCancelTogetherHung(t *testing.T) {
	for _, tc := range []struct {
		name     string
		n        int
		goesOn   time.Duration // after it was stopped; 0: when all calls have ended
		isClosed bool
	}{
		{"busy", 30, 100 * time.Millisecond, false},
		{"open", 30, 0, false},
		{"closed", 30, 0, true},
		{"crowd", 100, 0, false}, // more than fit into the queue of a socket
		{"crowd, closed", 100, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			c := &ovs.Client{Endpoint: b.Endpoint}
			all, guests := jobs(t, tc.n, ovs.Bridge{Name: "lan", Client: c})
			addBridge(t, b.Database, "lan")
			b.before = b.Dump(t)
			if _, err := c.IsBridge(t.Context(), "any"); err != nil {
				t.Fatal(err)
			}
			world := nstest.Observe(t, guests...)
			var stop sync.Once
			cancelled(t, all, func(step string) bool {
				if step != "ovsdb transact add port" {
					return false
				}
				stop.Do(func() {
					b.Server.Stop(t)
					if tc.goesOn > 0 {
						time.AfterFunc(tc.goesOn, func() { b.Server.Continue(t) })
					}
				})
				return true
			})
			if tc.isClosed {
				_ = c.Close()
			}
			if tc.goesOn == 0 {
				b.Server.Continue(t)
			}
			b.clean(t)
			world.Unchanged(t)
			_ = c.Close()
		})
	}
}

// TestCancelLate has a Transactor that does not heed its context: what it carries out
// after the attach was given up is taken back all the same.
func TestCancelLate(t *testing.T) {
	b := newBench(t)
	own := &ovsdb.Client{Database: "Open_vSwitch", Endpoint: b.Endpoint}
	defer func() { _ = own.Close() }()
	if err := own.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	world := nstest.Observe(t, b.guest.Handle)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &ovs.Client{Transactor: transactorFunc(func(_ context.Context, ops []libovsdb.Operation) ([]libovsdb.OperationResult, error) {
		if slices.ContainsFunc(ops, func(op libovsdb.Operation) bool { return op.Op == libovsdb.OperationInsert }) {
			cancel()
			time.Sleep(100 * time.Millisecond)
		}
		return own.Transact(context.Background(), ops...)
	})}
	addBridge(t, b.Database, "lan")
	before := b.Dump(t)
	_, err := pipework.Attach(ctx, b.target, spec(ovs.Bridge{Name: "lan", Client: c}, "10.0.0.1/24"))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if after := b.Dump(t); after != before {
		t.Errorf("the database is\n%s", after)
	}
	world.Unchanged(t)
}
