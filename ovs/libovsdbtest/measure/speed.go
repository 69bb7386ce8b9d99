package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// rounds is how often each is measured, in turn.
const rounds = 101

// speed measures with a real ovsdb-server.
func speed() error {
	stop, err := startServer()
	if err != nil {
		return err
	}
	defer stop()
	connect, allocated, transact := map[string][]time.Duration{}, map[string]uint64{}, map[string][]time.Duration{}
	received := map[string]int64{}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for range rounds {
		for _, name := range []string{theirs, ours} {
			before, start := alloc(), time.Now()
			c, end := dial(name)
			if err := c.Connect(ctx); err != nil {
				return err
			}
			connect[name] = append(connect[name], time.Since(start))
			allocated[name] = alloc() - before
			for range 5 {
				start = time.Now()
				if _, err := c.Transact(ctx, look()); err != nil {
					return err
				}
				transact[name] = append(transact[name], time.Since(start))
			}
			end()
		}
	}
	for _, name := range []string{theirs, ours} {
		if received[name], err = countBytes(ctx, name); err != nil {
			return err
		}
	}
	fmt.Printf("\nWith ovsdb-server, medians of %d connections in turn:\n\n| | libovsdb | pipework |\n|---|---|---|\n", rounds)
	fmt.Printf("| connect | %.2f ms | %.2f ms |\n", ms(connect[theirs]), ms(connect[ours]))
	fmt.Printf("| allocated by that | %d kB | %d kB |\n", allocated[theirs]/1000, allocated[ours]/1000)
	fmt.Printf("| received by that and one transaction | %d bytes | %d bytes |\n", received[theirs], received[ours])
	fmt.Printf("| a transaction that reads | %.3f ms | %.3f ms |\n", ms(transact[theirs]), ms(transact[ours]))
	encodings()
	return nil
}

func ms(all []time.Duration) float64 {
	slices.Sort(all)
	return all[len(all)/2].Seconds() * 1000
}

func alloc() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// countBytes is what a server sends to a client that connects and reads once.
func countBytes(ctx context.Context, name string) (int64, error) {
	real := socket
	defer func() { socket = real }()
	socket = real + "-" + name
	l, err := net.Listen("unix", socket)
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	var sum atomic.Int64
	go func() {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", real)
		if err != nil {
			_ = client.Close()
			return
		}
		go func() { _, _ = io.Copy(server, client) }()
		_, _ = io.Copy(io.MultiWriter(counter{&sum}, client), server)
	}()
	c, end := dial(name)
	defer end()
	if err := c.Connect(ctx); err != nil {
		return 0, err
	}
	_, err = c.Transact(ctx, look())
	return sum.Load(), err
}

type counter struct{ *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) { c.Add(int64(len(b))); return len(b), nil }

// startServer starts an ovsdb-server with an empty database.
func startServer() (stop func(), err error) {
	dir, err := os.MkdirTemp("", "measure")
	if err != nil {
		return nil, err
	}
	socket = filepath.Join(dir, "db")
	conf := filepath.Join(dir, "conf.db")
	if out, err := exec.Command("ovsdb-tool", "create", conf, "/usr/share/openvswitch/vswitch.ovsschema").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ovsdb-tool: %w: %s", err, out)
	}
	server := exec.Command("/usr/sbin/ovsdb-server", conf, "--remote=punix:"+socket, "--unixctl="+filepath.Join(dir, "ctl"), "-vsyslog:off", "-vconsole:off")
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = os.RemoveAll(dir)
	}
	for range 1000 {
		if conn, err := net.Dial("unix", socket); err == nil {
			return stop, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("ovsdb-server does not listen at %s", socket)
}

// plain encodes as pipework does: as it is.
type plain libovsdb.Operation

// encodings compares how long the same operations take to encode, with values of
// libovsdb's types and with pipework's.
func encodings() {
	id := ovsdb.NewUUID()
	ids := map[string]string{"pipework.bridge": "ovs0", "pipework.interface": "eth1", "pipework.made": "port", "pipework.netns": "4:4026532247"}
	ovsMap, _ := libovsdb.NewOvsMap(ids)
	tag, _ := libovsdb.NewOvsSet([]int{100})
	trunks, _ := libovsdb.NewOvsSet([]int{1, 2, 3})
	port := ovsdb.Insert("Port", id, ovsdb.Columns{"name": "v", "interfaces": id, "tag": []int{100}, "trunks": []int{1, 2, 3}, "external_ids": ids})
	row := libovsdb.Row{"name": "v", "interfaces": id, "tag": tag, "trunks": trunks, "external_ids": ovsMap}
	find := ovsdb.Select("Bridge", ovsdb.Has("_uuid", id), "name")
	where := []libovsdb.Condition{libovsdb.NewCondition("_uuid", libovsdb.ConditionEqual, id)}
	for _, c := range []struct {
		name   string
		theirs libovsdb.Operation
		ours   libovsdb.Operation
	}{
		{"the insert of a port", libovsdb.Operation{Op: "insert", Table: "Port", UUID: id.GoUUID, Row: row}, port.Operation},
		{"a select by UUID", libovsdb.Operation{Op: "select", Table: "Bridge", Columns: []string{"name"}, Where: where}, find.Operation},
	} {
		them, values, us := encoding(c.theirs), encoding(plain(c.theirs)), encoding(plain(c.ours))
		fmt.Printf("| encode %s | %.1f µs | %.1f µs |\n", c.name, them, us)
		fmt.Printf("| the same, times as long: by its values, by all | %.1f, %.1f | 1 |\n", values/us, them/us)
	}
}

// encoding is the best of many batches, which is what an idle machine takes.
func encoding(value any) (µs float64) {
	const batches, calls = 100, 100
	best := time.Hour
	for range batches {
		start := time.Now()
		for range calls {
			if _, err := json.Marshal(value); err != nil {
				panic(err)
			}
		}
		best = min(best, time.Since(start))
	}
	return float64(best.Nanoseconds()) / calls / 1000
}
