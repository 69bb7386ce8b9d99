//go:build linux

package ovs_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/ovs"
)

// A raw connection writes texts and reads what comes back, and nothing else.
type raw struct {
	t testing.TB
	net.Conn
	d *json.Decoder
}

func newRaw(t testing.TB, db *ovstest.Database) *raw {
	t.Helper()
	c, err := net.Dial("unix", strings.TrimPrefix(db.Endpoint, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t, c, json.NewDecoder(c)}
}

func (r *raw) call(request string) json.RawMessage {
	if _, err := r.Write([]byte(request)); err != nil {
		r.t.Fatal(err)
	}
	var m struct {
		Result json.RawMessage
		Error  any
	}
	if err := r.d.Decode(&m); err != nil {
		r.t.Fatal(err)
	}
	if m.Error != nil || strings.Contains(string(m.Result), `"details"`) {
		r.t.Fatalf("%v %s", m.Error, m.Result)
	}
	return m.Result
}

func transact(ops string) string {
	return `{"method":"transact","params":["Open_vSwitch",` + ops + `],"id":1}`
}

// A rawPort is an attach's transactions as texts.
type rawPort struct{ name, iface, port string }

func newRawPort(name string) rawPort {
	id := func() string {
		var b [16]byte
		_, _ = rand.Read(b[:])
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	return rawPort{name: name, iface: id(), port: id()}
}

const rawIDs = `["map",[["pipework.bridge","ovs0"],["pipework.containername","netns:g1"],["pipework.interface","eth1"],` +
	`["pipework.made","x"],["pipework.mark","pipework link=ovs:ovs0 interface=eth1 spec=8b0844a91b35a5fd containername=netns:g1"],["pipework.netns","4:4026532247"]]]`

func (p rawPort) rows() string { return p.rowsOf("x") }

// rowsOf are the port's rows, made by pipework or by somebody else.
func (p rawPort) rowsOf(made string) string {
	ids := strings.Replace(rawIDs, `["pipework.made","x"]`, fmt.Sprintf(`["pipework.made",%q]`, made), 1)
	return fmt.Sprintf(`{"op":"insert","table":"Interface","uuid":%q,"row":{"name":%q,"external_ids":%s}},`+
		`{"op":"insert","table":"Port","uuid":%q,"row":{"name":%q,"interfaces":["uuid",%q],"tag":100,"external_ids":%s}}`,
		p.iface, p.name, ids, p.port, p.name, p.iface, ids)
}

const rawNext = `{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",1]]},` +
	`{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}`

func (p rawPort) add() string {
	return transact(`{"op":"wait","table":"Bridge","where":[["name","==","ovs0"]],"columns":["name"],"until":"==","rows":[{"name":"ovs0"}],"timeout":0},` +
		p.rows() + fmt.Sprintf(`,{"op":"mutate","table":"Bridge","where":[["name","==","ovs0"]],"mutations":[["ports","insert",["uuid",%q]]]},`, p.port) + rawNext)
}

func (p rawPort) wait() string {
	return transact(fmt.Sprintf(`{"op":"wait","table":"Interface","where":[["_uuid","==",["uuid",%q]]],"columns":["ofport"],"until":"!=","rows":[{"ofport":["set",[]]}],"timeout":5000},`+
		`{"op":"select","table":"Interface","where":[["_uuid","==",["uuid",%q]]],"columns":["ofport","error"]}`, p.iface, p.iface))
}

func (p rawPort) del() string {
	return transact(fmt.Sprintf(`{"op":"mutate","table":"Bridge","where":[["name","==","ovs0"]],"mutations":[["ports","delete",["uuid",%q]]]},`, p.port) + rawNext)
}

// fill makes n ports that are rows only: no device, and nobody who answers.
func fill(r *raw, n int, made string) {
	const chunk = 500
	for at := 0; at < n; at += chunk {
		var ops, ports []string
		for i := at; i < min(n, at+chunk); i++ {
			p := newRawPort(fmt.Sprintf("crowd%d", i))
			ops = append(ops, p.rowsOf(made))
			ports = append(ports, fmt.Sprintf(`["uuid",%q]`, p.port))
		}
		r.call(transact(strings.Join(ops, ",") + `,{"op":"mutate","table":"Bridge","where":[["name","==","ovs0"]],"mutations":[["ports","insert",["set",[` + strings.Join(ports, ",") + `]]]]}`))
	}
}

// apply gives every new interface a number at once, in the place of
// ovs-vswitchd, whose own work with ten thousand ports takes seconds.
func apply(t testing.TB, db *ovstest.Database) {
	applyAs(t, db, func(string) string { return `{"ofport":1}` })
}

// A clock adds up the time that the steps of an attach take that speak OVSDB.
type clock struct {
	ovsdb time.Duration
	begun time.Time
}

func (c *clock) watch(ctx context.Context) context.Context {
	return fault.With(ctx, func(step string) error {
		if !c.begun.IsZero() {
			c.ovsdb += time.Since(c.begun)
			c.begun = time.Time{}
		}
		if strings.HasPrefix(step, "ovsdb") {
			c.begun = time.Now()
		}
		return nil
	})
}

// BenchmarkAttach runs in turn the bare transactions, Attach, and ovs-vsctl, and
// reports the medians, with few ports and with many there. The bare ones are an
// attach's, written beforehand: one that adds the port, one that waits for its
// number; "ovsdb" is what they take in an Attach. With a real ovs-vswitchd, which
// is waited for in all three, it is most of the time; its own work grows with the
// ports, and with ten thousand of them takes seconds, so that the benchmark plays its
// part there (vswitchd=none). No figure here has frames in it: the daemon runs with its
// dummy datapath, which forwards none, and the ports that are there are rows.
func BenchmarkAttach(b *testing.B) {
	for _, c := range []struct {
		ports    int
		vswitchd string
	}{{10, "none"}, {10_000, "none"}, {10, "dummy"}, {1000, "dummy"}} {
		b.Run(fmt.Sprintf("ports=%d/vswitchd=%s", c.ports, c.vswitchd), func(b *testing.B) {
			db := ovstest.Start(b)
			settled := func() {}
			vsctl := []string{"--no-wait"}
			if c.vswitchd != "none" {
				db.Switch(b, ovstest.Dummy, nil)
				vsctl = nil
				settled = func() { db.Vsctl(b, "set", "bridge", "ovs0", "external_ids:settled=yes") }
			}
			db.Vsctl(b, append(vsctl, "add-br", "ovs0", "--", "set", "bridge", "ovs0", "datapath_type=netdev")...)
			r := newRaw(b, db)
			fill(r, c.ports, "x")
			if settled(); c.vswitchd == "none" {
				apply(b, db)
			}
			target, _ := nstest.Guest(b)
			s := spec(ovs.Bridge{Name: "ovs0", Tag: 100, Client: shared(b, db)}, "10.0.0.1/24")
			times := map[string][]time.Duration{}
			measure := func(what string, f func()) {
				start := time.Now()
				f()
				times[what] = append(times[what], time.Since(start))
			}
			b.ReportAllocs()
			for b.Loop() {
				p := newRawPort("vfloor")
				add, wait := p.add(), p.wait()
				measure("add", func() { r.call(add) })
				measure("wait", func() { r.call(wait) })
				r.call(p.del())
				settled()
				var spent clock
				measure("attach", func() { attachIn(spent.watch(b.Context()), b, target, s) })
				times["ovsdb"] = append(times["ovsdb"], spent.ovsdb)
				measure("detach", func() { detach(b, target, s) })
				settled()
			}
			for range min(b.N, 10) {
				measure("vsctl", func() { db.Vsctl(b, append(vsctl, "add-port", "ovs0", "vfloor", "tag=100")...) })
				db.Vsctl(b, append(vsctl, "del-port", "vfloor")...)
			}
			report(b, times)
		})
	}
}

func report(b *testing.B, times map[string][]time.Duration) {
	median := map[string]float64{}
	for what, list := range times {
		slices.Sort(list)
		median[what] = float64(list[len(list)/2].Microseconds())
		b.ReportMetric(median[what], what+"-µs")
	}
	bare := median["add"] + median["wait"]
	b.ReportMetric(median["ovsdb"]/bare, "ratio")
	b.ReportMetric(median["attach"]/bare, "attach-ratio")
}

// BenchmarkMany plugs 200 guests in and out, one by one and together, with a real
// ovs-vswitchd: the userspace datapath where there is root, else the dummy one, which
// forwards no frames.
func BenchmarkMany(b *testing.B) {
	if sandbox.IsRoot() {
		b.Run("datapath=userspace", func(b *testing.B) { many(b, ovstest.Userspace) })
	} else {
		b.Run("datapath=dummy", func(b *testing.B) { many(b, ovstest.Dummy) })
	}
}

func many(b *testing.B, datapath ovstest.Datapath) {
	db := ovstest.Start(b)
	db.Switch(b, datapath, nil)
	db.Vsctl(b, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type=netdev")
	all, _ := jobs(b, 200, ovs.Bridge{Name: "lan", Client: shared(b, db)})
	times := map[string]time.Duration{}
	measure := func(what string, f func() error) {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		times[what] += time.Since(start)
		start = time.Now()
		db.Vsctl(b, "set", "bridge", "lan", "external_ids:settled="+what) // waits until ovs-vswitchd has dealt with everything
		times["settled-after-"+what] += time.Since(start)
	}
	for b.Loop() {
		measure("attach", func() (err error) {
			for _, j := range all {
				_, one := pipework.Attach(b.Context(), j.Target, j.Spec)
				err = errors.Join(err, one)
			}
			return err
		})
		measure("detachall", func() error { _, err := pipework.DetachAll(b.Context(), all); return err })
		measure("attachall", func() error { _, err := pipework.AttachAll(b.Context(), all); return err })
		measure("detach", func() (err error) {
			for _, j := range all {
				_, ended := pipework.Detach(b.Context(), j.Target, j.Spec)
				err = errors.Join(err, ended)
			}
			return err
		})
	}
	for what, sum := range times {
		b.ReportMetric(float64(sum.Microseconds())/float64(b.N)/1000, what+"-ms")
	}
}
