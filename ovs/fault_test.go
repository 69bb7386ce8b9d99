//go:build linux

package ovs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A bench is one guest before a database behind a proxy, all of it as it should
// be again after an attach that failed.
type bench struct {
	*ovstest.Database
	daemon *ovstest.Process
	proxy  *ovstest.Proxy
	target pipework.Target
	guest  *ns.Guest
	world  *nstest.World
	before string
}

func newBench(t *testing.T) *bench {
	db := ovstest.Start(t)
	b := &bench{Database: db, daemon: db.Switch(t, ovstest.Dummy, nil), proxy: ovstest.NewProxy(t, db)}
	b.before = db.Dump(t)
	b.target, b.guest = nstest.Guest(t)
	b.world = nstest.Observe(t, b.guest.Handle)
	return b
}

// spec goes through the proxy.
func (b *bench) spec(c *ovs.Client) pipework.Spec {
	return spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
}

// clean waits until the database is as it was: a server that was hung takes
// back what it did.
func (b *bench) clean(t *testing.T) {
	t.Helper()
	ovstest.Wait(t, "clean database", func() error {
		if now := b.Dump(t); now != b.before {
			return fmt.Errorf("it is\n%s", now)
		}
		return nil
	})
}

// TestFaults breaks the conversation at the first piece of it, then at the
// second, and so on until an attach gets through: a connection that is cut
// before a request or after it, and one whose answers are lost.
func TestFaults(t *testing.T) {
	for name, hooks := range map[string]func(hit func() bool) (requests, answers func([]byte) ([]byte, error)){
		"request lost": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return func(b []byte) ([]byte, error) { return cut(b, 0, hit()) }, nil
		},
		"half a request": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return func(b []byte) ([]byte, error) { return cut(b, len(b)/2, hit()) }, nil
		},
		"cut after request": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return func(b []byte) ([]byte, error) { return cut(b, len(b), hit()) }, nil
		},
		"answer lost": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return nil, func(b []byte) ([]byte, error) { return cut(b, 0, hit()) }
		},
		"half an answer": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return nil, func(b []byte) ([]byte, error) { return cut(b, len(b)/2, hit()) }
		},
		"empty answer": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return nil, func(b []byte) ([]byte, error) { return replace(b, `{"id":1,"result":[],"error":null}`, hit()) }
		},
		"no JSON": func(hit func() bool) (_, _ func([]byte) ([]byte, error)) {
			return nil, func(b []byte) ([]byte, error) { return replace(b, "HTTP/1.1 400 Bad Request\r\n\r\n", hit()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for n := 1; ; n++ {
				var count atomic.Int64
				requests, answers := hooks(func() bool { return count.Add(1) == int64(n) })
				b.proxy.Hook(requests, answers)
				if b.survives(t) && count.Load() < int64(n) {
					t.Logf("%d pieces", n-1)
					return
				}
			}
		})
	}
}

func cut(b []byte, at int, hit bool) ([]byte, error) {
	if !hit {
		return b, nil
	}
	return b[:at], ovstest.ErrCut
}

func replace(b []byte, by string, hit bool) ([]byte, error) {
	if !hit {
		return b, nil
	}
	return []byte(by), nil
}

// survives attaches, and says whether that worked; if not, nothing may be left.
func (b *bench) survives(t *testing.T) bool {
	t.Helper()
	c := &ovs.Client{Endpoint: b.proxy.Endpoint}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := pipework.Attach(ctx, b.target, b.spec(c))
	b.proxy.Hook(nil, nil)
	if err == nil {
		detach(t, b.target, b.spec(c))
	}
	_ = c.Close()
	b.clean(t)
	b.world.Unchanged(t)
	if t.Failed() {
		t.Fatal("after", err)
	}
	return err == nil
}

// TestGarble changes an answer at random: the result is an error or none, never
// a panic, a hang or half a port.
func TestGarble(t *testing.T) {
	b := newBench(t)
	worked := 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		which := 1 + r.Int64N(3)
		var count atomic.Int64
		b.proxy.Hook(nil, func(text []byte) ([]byte, error) {
			if count.Add(1) != which {
				return text, nil
			}
			return garble(r, bytes.Clone(text)), nil
		})
		if b.survives(t) {
			worked++
		}
	}
	t.Logf("%d of 40 attaches worked", worked)
}

// garble changes one byte, or empties one array.
func garble(r *rand.Rand, text []byte) []byte {
	switch r.IntN(2) {
	case 0:
		text[r.IntN(len(text))] = "[]{}\",:0a\x00"[r.IntN(10)]
	case 1:
		if i := bytes.Index(text, []byte(`["uuid",`)); i >= 0 {
			return append(append(text[:i:i], "[]"...), text[i+bytes.IndexByte(text[i:], ']')+1:]...)
		}
	}
	return text
}

// TestHang stops the server in the middle of every attach's conversation: the
// call ends by its deadline, plus the seconds in which it tries to take back, and
// when the server goes on, nothing is left.
func TestHang(t *testing.T) {
	b := newBench(t)
	const deadline = 200 * time.Millisecond
	for n := 1; ; n++ {
		var count atomic.Int64
		b.proxy.Hook(func(text []byte) ([]byte, error) {
			if count.Add(1) == int64(n) {
				b.Server.Stop(t)
			}
			return text, nil
		}, nil)
		c := &ovs.Client{Endpoint: b.proxy.Endpoint}
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		start := time.Now()
		_, err := pipework.Attach(ctx, b.target, b.spec(c))
		took := time.Since(start)
		cancel()
		b.proxy.Hook(nil, nil)
		b.Server.Continue(t)
		if err == nil {
			detach(t, b.target, b.spec(c))
		}
		_ = c.Close()
		b.clean(t)
		b.world.Unchanged(t)
		switch {
		case err == nil && count.Load() < int64(n):
			t.Logf("%d requests", n-1)
			return
		case err == nil, !errors.Is(err, context.DeadlineExceeded), took > testwait.Patience:
			t.Errorf("stopped at request %d: %v after %v", n, err, took)
		}
		if t.Failed() {
			return
		}
	}
}

// TestRestart has a shared client outlive its server, while idle and in the
// middle of an attach.
func TestRestart(t *testing.T) {
	b := newBench(t)
	c := &ovs.Client{Endpoint: b.proxy.Endpoint}
	attach(t, b.target, b.spec(c))
	b.Restart(t)
	detach(t, b.target, b.spec(c))
	_ = c.Close()
	b.clean(t)
	for n := range 6 {
		left := atomic.Int64{}
		left.Store(int64(n))
		b.proxy.Hook(func(text []byte) ([]byte, error) {
			if left.Add(-1) == 0 {
				b.Restart(t)
			}
			return text, nil
		}, nil)
		if b.survives(t) && left.Load() > 0 {
			break
		}
	}
}

// TestNoDaemon attaches where ovs-vswitchd does not run, or is stopped.
func TestNoDaemon(t *testing.T) {
	b := newBench(t)
	attempt := func() {
		t.Helper()
		c := &ovs.Client{Endpoint: b.Endpoint}
		defer func() { _ = c.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := pipework.Attach(ctx, b.target, b.spec(c))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "is ovs-vswitchd running?") {
			t.Error(err)
		}
		if took := time.Since(start); took > testwait.Patience {
			t.Errorf("took %v", took)
		}
		_ = c.Close()
		b.clean(t)
		b.world.Unchanged(t)
	}
	b.daemon.Stop(t)
	attempt()
	b.daemon.Continue(t)
	b.daemon.Kill()
	b.world = nstest.Observe(t, b.guest.Handle)
	attempt()
	b.Switch(t, ovstest.Dummy, nil)
	c := shared(t, b.Database)
	attach(t, b.target, b.spec(c))
	detach(t, b.target, b.spec(c))
}

// TestRefusedByDaemon has settings that ovs-vswitchd reads and cannot use. Its
// verdict comes long before the deadline.
func TestRefusedByDaemon(t *testing.T) {
	b := newBench(t)
	c := shared(t, b.Database)
	s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.System, Client: c}, "10.0.0.1/24")
	start := time.Now()
	_, err := pipework.Attach(t.Context(), b.target, s)
	if err == nil || time.Since(start) > testwait.Patience {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if _, there := os.Stat("/sys/module/openvswitch"); there != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	b.clean(t)
}
