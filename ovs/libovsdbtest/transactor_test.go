//go:build linux

package libovsdbtest

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

func TestMain(m *testing.M) { nstest.MainRoot(m) }

// A bridgeRow is the least that a model needs.
type bridgeRow struct {
	UUID string `ovsdb:"_uuid"`
	Name string `ovsdb:"name"`
}

// connected is libovsdb's client, connected for the length of the test.
func connected(t testing.TB, endpoint string) client.Client {
	t.Helper()
	db, err := model.NewClientDBModel("Open_vSwitch", map[string]model.Model{"Bridge": &bridgeRow{}})
	if err != nil {
		t.Fatal(err)
	}
	quiet := logr.Discard()
	c, err := client.NewOVSDBClient(db, client.WithEndpoint(endpoint), client.WithLogger(&quiet))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

var _ ovs.Transactor = client.Client(nil)

// TestContract has every step of an attach fail, be cancelled and be killed, as
// with pipework's own transport.
func TestContract(t *testing.T) {
	for name, lan := range map[string]string{"bridge made": "ovs0", "bridge there": "lan"} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, contract.Case{Many: true, Setup: func(t testing.TB) link.Backend {
				db := ovstest.Start(t)
				db.Switch(t, ovstest.Dummy, nil)
				db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type=netdev")
				before := db.Dump(t)
				t.Cleanup(func() {
					if after := db.Dump(t); after != before {
						t.Errorf("the database was\n%s\nand is\n%s", before, after)
					}
				})
				return ovs.Bridge{Name: lan, Tag: 100, Datapath: ovs.Netdev, Client: &ovs.Client{Transactor: connected(t, db.Endpoint)}}
			}})
		})
	}
}

// TestCalls makes the calls that the contract does not.
func TestCalls(t *testing.T) {
	db := ovstest.Start(t)
	db.Switch(t, ovstest.Dummy, nil)
	c := &ovs.Client{Transactor: connected(t, db.Endpoint)}
	isBridge := func(want bool) {
		t.Helper()
		if _, got, err := c.Lookup(t.Context(), "ovs0"); got != want || err != nil {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	isBridge(false)
	p := nstest.Process(t)
	at, err := pipework.Attach(t.Context(), ns.PID(p.PID), pipework.Spec{
		Link:  ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c},
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	isBridge(true)
	if _, err := pipework.Attach(t.Context(), ns.PID(p.PID), pipework.Spec{
		Link: ovs.Bridge{Name: "none", Client: c}, Name: "eth2",
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	}); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a bridge that is not there:", err)
	}
	_ = p.Kill()
	ovstest.Wait(t, "device of a dead guest", func() error { return nstest.NoLink(t, at.HostName) })
	if got, err := c.Collect(t.Context(), host(t)); len(got) != 1 || err != nil {
		t.Errorf("collected %q, %v", got, err)
	}
	isBridge(false)
}

// host is this namespace.
func host(t *testing.T) link.Host {
	t.Helper()
	at, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ns.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = at.Close() })
	return link.Host{Handle: at, Conn: conn}
}

// TestServerHangs stops the server under a call: the call ends with its context.
func TestServerHangs(t *testing.T) {
	db := ovstest.Start(t)
	c := &ovs.Client{Transactor: connected(t, db.Endpoint)}
	db.Server.Stop(t)
	defer db.Server.Continue(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := c.Lookup(ctx, "ovs0"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
