//go:build linux

package pipework_test

import (
	"context"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestKeepsACrowd keeps leases of ten seconds from one server, past their end:
// a hundred for twelve seconds (in a lane's slow machine thirty), or
// PIPEWORK_CROWD for a minute. None may be lost. The whole of it, on a machine with nothing else to do:
//
//	PIPEWORK_CROWD=1000 go test -count=1 -run TestKeepsACrowd -v .
func TestKeepsACrowd(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	count, span := 100, 12*time.Second
	if os.Getenv("PIPEWORK_LANE") != "" || testing.Short() {
		count = 30
	}
	if n, err := strconv.Atoi(os.Getenv("PIPEWORK_CROWD")); err == nil {
		count, span = n, time.Minute
	}
	dhcptest.Network(t)
	server := dhcptest.BigKea(t, 10)
	goroutines, memory := usage()
	keeper, lost, failed, renewed := &dhcp.Keeper{}, new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = keeper.Run(ctx); close(ended) }()
	spec := pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}, DHCP: &dhcp.Config{}}
	targets := make([]ns.Named, count)
	for i := range targets {
		targets[i], _ = nstest.Guest(t)
	}
	var forget sync.Map // of each target the function that ends its keeping
	begun := time.Now()
	inParallel(targets, func(target ns.Named) {
		a, err := pipework.Attach(t.Context(), target, spec)
		if err != nil {
			t.Error(err)
			return
		}
		kept := new(pipework.Attacher).Kept(target, spec, a)[0]
		kept.Event = func(ev dhcp.Event) {
			switch ev.Kind {
			case dhcp.Renewed:
				renewed.Add(1)
			case dhcp.Failed:
				failed.Add(1)
				t.Log(ev.Reason)
			default:
				lost.Add(1)
				t.Errorf("%s: %s %s", target, ev.Kind, ev.Reason)
			}
		}
		remove, err := keeper.Add(t.Context(), kept)
		if err != nil {
			t.Error(err)
			return
		}
		forget.Store(target, remove)
	})
	t.Logf("%d attached in %v", count, time.Since(begun))
	time.Sleep(span) // what is tested is that nothing happens
	more, larger := usage()
	t.Logf("%d leases kept for %v, %d renewals, %d failed attempts, %d lost: %d goroutines more, %d KiB more",
		count, span, renewed.Load(), failed.Load(), lost.Load(), more-goroutines, (larger-memory)/1024)
	if renewed.Load() < int64(count) {
		t.Errorf("only %d renewals", renewed.Load())
	}
	inParallel(targets, func(target ns.Named) {
		if at, err := pipework.Check(t.Context(), target, spec); err != nil || at.Lease == nil || !slices.Contains(at.Addrs, at.Lease.Addr) {
			t.Errorf("%s: %+v, %v", target, at, err)
		}
		if remove, ok := forget.Load(target); ok {
			remove.(func())()
		}
		if _, err := pipework.Detach(t.Context(), target, spec); err != nil {
			t.Error(err)
		}
	})
	cancel()
	<-ended
	server.Eventually(t, "the release of everything", func(leases string) bool {
		active := map[string]bool{}
		for line := range strings.Lines(leases) {
			if f := strings.Split(line, ","); len(f) > 4 { // address, MAC, client id, seconds, expiry
				active[f[0]] = f[3] != "0" && f[0] != "address"
			}
		}
		return !slices.Contains(slices.Collect(maps.Values(active)), true)
	})
}

// inParallel calls f for each target, four at a time.
func inParallel(targets []ns.Named, f func(ns.Named)) {
	queue := make(chan ns.Named, len(targets))
	for _, target := range targets {
		queue <- target
	}
	close(queue)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for target := range queue {
				f(target)
			}
		})
	}
	wg.Wait()
}

func usage() (goroutines int, memory int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), int64(m.HeapAlloc)
}
