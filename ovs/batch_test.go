//go:build linux

package ovs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// jobs are n guests on a bridge, each with an address of its own.
func jobs(t testing.TB, n int, b ovs.Bridge) (list []pipework.Job, guests []*ns.Handle) {
	t.Helper()
	for i := range n {
		target, guest := nstest.Guest(t)
		addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 7, byte(i / 250), byte(i%250 + 1)}), 16)
		list = append(list, pipework.Job{Target: target, Spec: pipework.Spec{Link: b, Addrs: []netip.Prefix{addr}}})
		guests = append(guests, guest.Handle)
	}
	return list, guests
}

// counted counts transactions by what they are.
func counted(ctx context.Context) (context.Context, func(what string) int) {
	var mu sync.Mutex
	counts := map[string]int{}
	ctx = fault.With(ctx, func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		if what, ok := strings.CutPrefix(step, "ovsdb transact "); ok {
			counts[what]++
		}
		return nil
	})
	return ctx, func(what string) int {
		mu.Lock()
		defer mu.Unlock()
		return counts[what]
	}
}

// TestAttachAllTransactions plugs 200 guests in by two transactions, and out by two.
func TestAttachAllTransactions(t *testing.T) {
	db, c := dummy(t)
	unchanged(t, db)
	all, guests := jobs(t, 200, ovs.Bridge{Name: "ovs0", Tag: 5, Datapath: ovs.Netdev, Client: c})
	world := nstest.Observe(t, guests...)
	ctx, count := counted(t.Context())
	out, err := pipework.AttachAll(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(db.Vsctl(t, "list-ports", "ovs0")); len(got) != len(all) {
		t.Errorf("%d ports", len(got))
	}
	for i, at := range out {
		if i%40 != 0 {
			continue
		}
		if got := strings.TrimSpace(db.Vsctl(t, "get", "Port", at.HostName, "tag", "external_ids:pipework.containername")); got != fmt.Sprintf("5\n%q", at.Guest.Name) {
			t.Errorf("port of jobs[%d]: %s", i, got)
		}
		if at, err := pipework.Check(t.Context(), all[i].Target, all[i].Spec); err != nil || len(at.Drifts) > 0 {
			t.Errorf("jobs[%d]: %+v, %v", i, at, err)
		}
	}
	// The first time that the bridge was not there is one more.
	if n := count("add port"); n != 3 {
		t.Errorf("%d transactions to add the ports", n)
	}
	if _, err := pipework.DetachAll(ctx, all); err != nil {
		t.Error(err)
	}
	if n := count("remove port"); n != 2 {
		t.Errorf("%d transactions to remove the ports", n)
	}
	world.Unchanged(t)
}

// TestAttachAllNeighbours has ports that a transaction fails for, each for another
// reason, among others: they take none with them.
func TestAttachAllNeighbours(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	db.Vsctl(t, "--no-wait", "add-port", "lan", "vforeign", "--", "add-port", "lan", "vrelic", "--", "set", "port", "vrelic", "external_ids:pipework.made=port")
	all, guests := jobs(t, 12, ovs.Bridge{Name: "lan", Client: c})
	set := func(i int, change func(*ovs.Bridge)) {
		b := all[i].Spec.Link.(ovs.Bridge)
		change(&b)
		all[i].Spec.Link = b
	}
	set(1, func(b *ovs.Bridge) { b.HostName = "vforeign" })
	set(3, func(b *ovs.Bridge) { b.Name = "wan" })
	set(4, func(b *ovs.Bridge) { b.Datapath = ovs.System })
	set(5, func(b *ovs.Bridge) { b.HostName = "vrelic" })
	set(6, func(b *ovs.Bridge) { b.Name, b.Datapath = "ovs1", ovs.Netdev })
	set(7, func(b *ovs.Bridge) { b.Name, b.Datapath = "ovs1", ovs.System })
	set(8, func(b *ovs.Bridge) { b.Name = "ovs1" })
	set(9, func(b *ovs.Bridge) { b.OtherConfig = map[string]string{"a": "b"} })
	set(10, func(b *ovs.Bridge) { b.Client = &ovs.Client{Endpoint: "unix:/nowhere"} })
	want := map[int]error{1: fs.ErrInvalid, 3: fs.ErrNotExist, 4: fs.ErrInvalid, 7: fs.ErrInvalid, 10: fs.ErrNotExist}
	world := nstest.Observe(t, guests...)
	out, err := pipework.AttachAll(t.Context(), all)
	var failed pipework.JobErrors
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	for i := range all {
		if is := want[i]; !errors.Is(failed[i], is) || (out[i] == nil) != (is != nil) {
			t.Errorf("jobs[%d]: %v, %v; want %v", i, out[i], failed[i], is)
		}
		if out[i] == nil {
			continue
		}
		if at, err := pipework.Check(t.Context(), all[i].Target, all[i].Spec); err != nil || len(at.Drifts) > 0 {
			t.Errorf("jobs[%d]: %+v, %v", i, at, err)
		}
	}
	for bridge, n := range map[string]int{"lan": 5 + 1, "ovs1": 2} { // vforeign is there
		if got := strings.Fields(db.Vsctl(t, "list-ports", bridge)); len(got) != n {
			t.Errorf("%s has the ports %q", bridge, got)
		}
	}
	if _, err := pipework.DetachAll(t.Context(), append(all[:10:10], all[11])); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
	if got := strings.TrimSpace(db.Vsctl(t, "list-ports", "lan")); got != "vforeign" {
		t.Error("left:", got)
	}
	if exists, err := c.IsBridge(t.Context(), "ovs1"); exists || err != nil {
		t.Error("ovs1 is left", err)
	}
}

// TestAttachAllRefusedByDaemon has ovs-vswitchd, whose part the test plays, find
// nothing with one port in three.
func TestAttachAllRefusedByDaemon(t *testing.T) {
	db := ovstest.Start(t)
	db.Vsctl(t, "--no-wait", "add-br", "lan")
	unchanged(t, db)
	c := shared(t, db)
	all, guests := jobs(t, 9, ovs.Bridge{Name: "lan", Client: c})
	var n atomic.Int64
	applyAs(t, db, func(id string) string {
		row := `{"ofport":7}`
		if n.Add(1)%3 == 0 {
			row = `{"ofport":-1,"error":"no such thing"}`
		}
		return row
	})
	world := nstest.Observe(t, guests...)
	out, err := pipework.AttachAll(t.Context(), all)
	var failed pipework.JobErrors
	if !errors.As(err, &failed) || len(failed.Unwrap()) != 3 || !strings.Contains(err.Error(), ": no such thing") {
		t.Error(err)
	}
	for i, at := range out {
		if (at == nil) != (failed[i] != nil) {
			t.Errorf("jobs[%d]: %v, %v", i, at, failed[i])
		}
	}
	if got := strings.Fields(db.Vsctl(t, "--no-wait", "list-ports", "lan")); len(got) != 6 {
		t.Errorf("ports %q", got)
	}
	if _, err := pipework.DetachAll(t.Context(), all); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

// TestAttachAllGivenUp ends while eighty ports wait for ovs-vswitchd: all of them
// are taken back, by few connections.
func TestAttachAllGivenUp(t *testing.T) {
	b := newBench(t)
	all, guests := jobs(t, 80, ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: &ovs.Client{Endpoint: b.proxy.Endpoint}})
	world := nstest.Observe(t, guests...)
	b.daemon.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	out, err := pipework.AttachAll(ctx, all)
	var failed pipework.JobErrors
	if !errors.As(err, &failed) || len(failed.Unwrap()) != len(all) || !errors.Is(failed[79], context.DeadlineExceeded) || out[79] != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > testwait.Patience {
		t.Errorf("took %v", took)
	}
	_ = all[0].Spec.Link.(ovs.Bridge).Client.Close()
	b.daemon.Continue(t)
	b.clean(t)
	world.Unchanged(t)
}

// TestAttachAllHang stops the server in the middle of an AttachAll of more guests
// than may wait for it in the queue of a socket (64). When it goes on, nothing is left.
func TestAttachAllHang(t *testing.T) {
	b := newBench(t)
	c := &ovs.Client{Endpoint: b.Endpoint}
	all, guests := jobs(t, 80, ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c})
	world := nstest.Observe(t, guests...)
	for what, nth := range map[string]int64{"add port": 2, "wait for port": 1} { // the first time, there is no bridge
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		var count atomic.Int64
		ctx = fault.With(ctx, func(step string) error {
			if step == "ovsdb transact "+what && count.Add(1) == nth {
				b.Server.Stop(t)
			}
			return nil
		})
		start := time.Now()
		_, err := pipework.AttachAll(ctx, all)
		took := time.Since(start)
		cancel()
		b.Server.Continue(t)
		_ = c.Close()
		b.clean(t)
		world.Unchanged(t)
		if !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second {
			t.Errorf("stopped at %q: %v after %v", what, err, took)
		}
	}
}

// TestDetachAllDead unplugs guests that are gone together with two that live.
func TestDetachAllDead(t *testing.T) {
	db, c := dummy(t)
	unchanged(t, db)
	all, guests := jobs(t, 1, ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c})
	var processes []*sandbox.Process
	for range 5 {
		p := nstest.Process(t)
		all = append(all, pipework.Job{Target: ns.PID(p.PID), Spec: all[0].Spec})
		processes = append(processes, p)
	}
	world := nstest.Observe(t, guests...)
	if _, err := pipework.AttachAll(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for _, p := range processes[1:] {
		_ = p.Kill()
	}
	ctx, count := counted(t.Context())
	if _, err := pipework.DetachAll(ctx, all); err != nil {
		t.Error(err)
	}
	if n := count("remove port"); n != 1 {
		t.Errorf("%d transactions", n)
	}
	world.Unchanged(t)
}

// applyAs plays ovs-vswitchd: it writes a row into every new interface.
func applyAs(t testing.TB, db *ovstest.Database, row func(id string) string) {
	r := newRaw(t, db)
	r.call(`{"method":"monitor","params":["Open_vSwitch","m",{"Interface":{"columns":["name"],"select":{"initial":false,"insert":true,"delete":false,"modify":false}}}],"id":1}`)
	go func() {
		for {
			var m struct{ Params []json.RawMessage }
			if r.d.Decode(&m) != nil {
				return
			}
			var update struct{ Interface map[string]any }
			if len(m.Params) != 2 || json.Unmarshal(m.Params[1], &update) != nil {
				continue // an answer
			}
			for id := range update.Interface {
				_, _ = r.Write([]byte(transact(fmt.Sprintf(`{"op":"update","table":"Interface","where":[["_uuid","==",["uuid",%q]]],"row":%s}`, id, row(id)))))
			}
		}
	}()
}
