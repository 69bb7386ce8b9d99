//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// dummy is a database, a daemon that forwards nothing, and a client.
func dummy(t testing.TB) (*ovstest.Database, *ovs.Client) {
	t.Helper()
	db := ovstest.Start(t)
	db.Switch(t, ovstest.Dummy, nil)
	return db, shared(t, db)
}

func addBridge(t testing.TB, db *ovstest.Database, name string) {
	t.Helper()
	db.Vsctl(t, "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
}

func spec(b ovs.Bridge, addr string) pipework.Spec {
	return pipework.Spec{Link: b, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
}

func attach(t testing.TB, target pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	return attachIn(t.Context(), t, target, s)
}

func attachIn(ctx context.Context, t testing.TB, target pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	at, err := pipework.Attach(ctx, target, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range at.Warnings {
		t.Error("warning:", w)
	}
	return at
}

func detach(t testing.TB, target pipework.Target, s pipework.Spec) {
	t.Helper()
	if _, err := pipework.Detach(t.Context(), target, s); err != nil {
		t.Error(err)
	}
}

// TestColumns compares what an attach writes with what ovs-vsctl shows.
func TestColumns(t *testing.T) {
	db, c := dummy(t)
	guest := nstest.Process(t)
	target := ns.PID(guest.PID)
	for _, tc := range []struct {
		name   string
		bridge ovs.Bridge
		want   map[string]string // by column of table Port
	}{
		{"plain", ovs.Bridge{}, map[string]string{"tag": "[]", "trunks": "[]", "vlan_mode": "[]", "other_config": "{}"}},
		{"access", ovs.Bridge{Tag: 100}, map[string]string{"tag": "100", "external_ids:pipework.vlan": `"100"`}},
		{"trunk", ovs.Bridge{Trunks: []int{200, 100}}, map[string]string{"trunks": "[100, 200]", "tag": "[]"}},
		{"isolated", ovs.Bridge{Isolated: true}, map[string]string{"protected": "true"}},
		{"native", ovs.Bridge{Tag: 7, Trunks: []int{8}, VLANMode: ovs.NativeUntagged}, map[string]string{"tag": "7", "trunks": "[8]", "vlan_mode": "native-untagged"}},
		{"ids", ovs.Bridge{ExternalIDs: map[string]string{"iface-id": "a b"}, OtherConfig: map[string]string{"priority-tags": "always"}},
			map[string]string{"external_ids:iface-id": `"a b"`, "other_config": "{priority-tags=always}"}},
		{"mark", ovs.Bridge{}, map[string]string{
			"external_ids:pipework.bridge": "ovs0", "external_ids:pipework.interface": "eth1",
			"external_ids:pipework.nspid": fmt.Sprintf("%q", fmt.Sprint(guest.PID)), "external_ids:pipework.made": "port",
			"external_ids:pipework.containername": fmt.Sprintf("%q", fmt.Sprintf("pid:%d", guest.PID)),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			unchanged(t, db)
			tc.bridge.Name, tc.bridge.Client, tc.bridge.Datapath = "ovs0", c, ovs.Netdev
			s := spec(tc.bridge, "10.0.0.1/24")
			at := attach(t, target, s)
			for column, want := range tc.want {
				if got := strings.TrimSpace(db.Vsctl(t, "get", "Port", at.HostName, column)); got != want {
					t.Errorf("%s is %s, want %s", column, got, want)
				}
			}
			if strings.HasPrefix(tc.name, "ids") {
				if got := strings.TrimSpace(db.Vsctl(t, "get", "Interface", at.HostName, "external_ids:iface-id")); got != `"a b"` {
					t.Error("interface's id:", got)
				}
			}
			detach(t, target, s)
		})
	}
}

// TestRefused has what cannot be attached, and what the error has to say.
func TestRefused(t *testing.T) {
	db, c := dummy(t)
	db.Vsctl(t, "add-br", "lan")
	target, guest := nstest.Guest(t)
	for _, tc := range []struct {
		name   string
		bridge ovs.Bridge
		is     error
		says   string
	}{
		{"no bridge", ovs.Bridge{Name: "wan"}, fs.ErrNotExist, "ovs-vsctl add-br wan"},
		{"no name", ovs.Bridge{}, fs.ErrInvalid, "needs a name"},
		{"tag", ovs.Bridge{Name: "lan", Tag: 4095}, fs.ErrInvalid, "VLAN 4095: a tag is 1 to 4094"},
		{"trunk", ovs.Bridge{Name: "lan", Trunks: []int{4096}}, fs.ErrInvalid, "trunk VLAN 4096"},
		{"mode", ovs.Bridge{Name: "lan", VLANMode: "sideways"}, fs.ErrInvalid, "native-tagged"},
		{"datapath", ovs.Bridge{Name: "lan", Datapath: "fast"}, fs.ErrInvalid, `datapath "fast"`},
		{"other datapath", ovs.Bridge{Name: "lan", Datapath: ovs.Netdev}, fs.ErrInvalid, "has the datapath system, not netdev"},
		{"own key", ovs.Bridge{Name: "lan", ExternalIDs: map[string]string{"pipework.made": "x"}}, fs.ErrInvalid, "pipework's"},
		{"endpoint", ovs.Bridge{Name: "lan", Client: &ovs.Client{Endpoint: "db.sock"}}, fs.ErrInvalid, "unix:, tcp: or ssl:"},
		{"absent", ovs.Bridge{Name: "ovs0", Client: &ovs.Client{Endpoint: "unix:/nowhere"}}, fs.ErrNotExist, "openvswitch-switch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			unchanged(t, db)
			world := nstest.Observe(t, guest.Handle)
			if tc.bridge.Client == nil {
				tc.bridge.Client = c
			}
			_, err := pipework.Attach(t.Context(), target, spec(tc.bridge, "10.0.0.1/24"))
			if !errors.Is(err, tc.is) || !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Errorf("error %v, want %v and %q", err, tc.is, tc.says)
			}
			world.Unchanged(t)
		})
	}
}

// TestNameTaken meets a port that has the name already: somebody else's, which
// stays, and one of pipework's whose device is gone, which is replaced.
func TestNameTaken(t *testing.T) {
	db, c := dummy(t)
	target, guest := nstest.Guest(t)
	s := spec(ovs.Bridge{Name: "lan", HostName: "vport", Client: c}, "10.0.0.1/24")
	addBridge(t, db, "lan")
	db.Vsctl(t, "--no-wait", "add-port", "lan", "vport")
	world := nstest.Observe(t, guest.Handle)
	before := db.Dump(t)
	if _, err := pipework.Attach(t.Context(), target, s); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "ovs-vsctl del-port vport") {
		t.Error("somebody else's port:", err)
	}
	world.Unchanged(t)
	if diff := cmp.Diff(before, db.Dump(t)); diff != "" {
		t.Error(diff)
	}
	db.Vsctl(t, "set", "port", "vport", "external_ids:pipework.made=port")
	attach(t, target, s)
	detach(t, target, s)
	if got := db.Vsctl(t, "list-ports", "lan"); got != "" {
		t.Error("left:", got)
	}
}

// TestDrift lets an administrator change the port, and Attach mend it.
func TestDrift(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	target, _ := nstest.Guest(t)
	s := spec(ovs.Bridge{Name: "lan", Tag: 100, Isolated: true, HostName: "vport", Client: c}, "10.0.0.1/24")
	attach(t, target, s)
	whole := db.Dump(t)
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"tag", []string{"set", "port", "vport", "tag=200"}, "tag of port vport is 200 instead of 100"},
		{"no tag", []string{"clear", "port", "vport", "tag"}, "tag of port vport is none instead of 100"},
		{"mode", []string{"set", "port", "vport", "vlan_mode=trunk"}, "vlan_mode of port vport is trunk instead of none"},
		{"not isolated", []string{"set", "port", "vport", "protected=false"}, "protected of port vport is false instead of true"},
		{"removed", []string{"del-port", "vport"}, "host end vport is not a port of lan"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db.Vsctl(t, tc.args...)
			at, err := pipework.Check(t.Context(), target, s)
			if err != nil || len(at.Drifts) != 1 || at.Drifts[0] != tc.want {
				t.Errorf("check: %+v, %v; want %q", at, err, tc.want)
			}
			if at := attach(t, target, s); len(at.Mended) != 1 {
				t.Errorf("mended %q", at.Mended)
			}
			if diff := diff(whole, db.Dump(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
	db.Vsctl(t, "del-br", "lan")
	if _, err := pipework.Check(t.Context(), target, s); !errors.Is(err, fs.ErrNotExist) {
		t.Error("check without bridge:", err)
	}
	detach(t, target, s)
}

var uuidPattern = regexp.MustCompile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

// diff compares two dumps but for the UUIDs.
func diff(a, b string) string {
	return cmp.Diff(uuidPattern.ReplaceAllString(a, "uuid"), uuidPattern.ReplaceAllString(b, "uuid"))
}

// TestCrowd attaches and detaches 200 guests from 8 goroutines, on a bridge
// that comes and goes.
func TestCrowd(t *testing.T) {
	db, c := dummy(t)
	unchanged(t, db)
	var targets []ns.Named
	for range 200 {
		target, _ := nstest.Guest(t)
		targets = append(targets, target)
	}
	world := nstest.Observe(t)
	s := spec(ovs.Bridge{Name: "ovs0", Tag: 5, Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := i; n < len(targets); n += 8 {
				if _, err := pipework.Attach(t.Context(), targets[n], s); err != nil {
					t.Error(err)
				}
				if _, err := pipework.Detach(t.Context(), targets[n], s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	world.Unchanged(t)
}

// TestDetachDead unplugs guests that are gone: a process whose namespace went
// with it, and one whose namespace somebody holds, pair and all.
func TestDetachDead(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprint("held=", held), func(t *testing.T) {
			db, c := dummy(t)
			unchanged(t, db)
			world := nstest.Observe(t)
			guest, other := nstest.Process(t), nstest.Process(t)
			s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
			at := attach(t, ns.PID(guest.PID), s)
			attach(t, ns.PID(other.PID), s)
			hold, err := ns.PID(guest.PID).Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !held {
				_ = hold.Close()
			}
			_ = guest.Kill()
			detach(t, ns.PID(guest.PID), s)
			detach(t, ns.PID(guest.PID), s)
			if got := db.Vsctl(t, "--columns=name", "find", "Port", "name="+at.HostName); got != "" {
				t.Error("left:", got)
			}
			if _, err := pipework.Check(t.Context(), ns.PID(other.PID), s); err != nil {
				t.Error("the other guest:", err)
			}
			detach(t, ns.PID(other.PID), s)
			_ = other.Kill()
			if held {
				_ = hold.Close()
			}
			world.Unchanged(t)
		})
	}
}

// A called guest is a process that a runtime has a name for.
type called struct {
	ns.PID
	name string
}

func (c called) Open(ctx context.Context) (*ns.Guest, error) {
	g, err := c.PID.Open(ctx)
	if err == nil {
		g.Name = c.name
	}
	return g, err
}

func (c called) String() string { return c.name }

// TestDetachNamesake unplugs a guest that is gone, but not one that lives and has
// the same name, as another runtime's may.
func TestDetachNamesake(t *testing.T) {
	db, c := dummy(t)
	unchanged(t, db)
	dead, living := nstest.Process(t), nstest.Process(t)
	s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
	attach(t, called{ns.PID(dead.PID), "web"}, s)
	attach(t, called{ns.PID(living.PID), "web"}, s)
	_ = dead.Kill()
	detach(t, called{ns.PID(dead.PID), "web"}, s)
	if at, err := pipework.Check(t.Context(), called{ns.PID(living.PID), "web"}, s); err != nil || len(at.Drifts) > 0 {
		t.Errorf("the living one: %+v, %v", at, err)
	}
	if n := len(strings.Fields(db.Vsctl(t, "list-ports", "ovs0"))); n != 1 {
		t.Errorf("%d ports", n)
	}
	detach(t, called{ns.PID(living.PID), "web"}, s)
}

// TestDetachUnnamed unplugs a namespace whose name is gone, and it with it.
func TestDetachUnnamed(t *testing.T) {
	db, c := dummy(t)
	unchanged(t, db)
	remove, err := sandbox.Namespace("unnamed")
	if err != nil {
		t.Fatal(err)
	}
	target := ns.Named("unnamed")
	s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
	at := attach(t, target, s)
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	ovstest.Wait(t, "device of a dead guest", func() error { return nstest.NoLink(t, at.HostName) })
	detach(t, target, s)
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

// TestCollect has five ports: only the one whose guest is gone may go.
func TestCollect(t *testing.T) {
	db, c := dummy(t)
	unchanged(t, db)
	s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
	alive, deviceless, dead := nstest.Process(t), nstest.Process(t), nstest.Process(t)
	attach(t, ns.PID(alive.PID), s)
	lost := attach(t, ns.PID(deviceless.PID), s)
	gone := attach(t, ns.PID(dead.PID), s)
	nstest.DelLink(t, lost.HostName)
	db.Vsctl(t, "--no-wait", "add-port", "ovs0", "foreign", "--", "add-port", "ovs0", "lookalike",
		"--", "set", "port", "lookalike", "external_ids:pipework.interface=eth1")
	h := host(t)
	c.LookAgainAfter(20 * time.Millisecond)
	collect := func(want ...string) {
		t.Helper()
		would, err := c.Orphans(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Collect(t.Context(), h)
		if diff := cmp.Diff(would, got); diff != "" {
			t.Errorf("Orphans and Collect differ:\n%s", diff)
		}
		if diff := cmp.Diff(want, contract.Names(got)); err != nil || diff != "" {
			t.Errorf("collected %q, %v", got, err)
		}
	}
	collect()
	_ = dead.Kill()
	ovstest.Wait(t, "device of a dead guest", func() error { return nstest.NoLink(t, gone.HostName) })
	collect(gone.HostName)
	collect()
	db.Vsctl(t, "--no-wait", "del-port", "foreign", "--", "del-port", "lookalike")
	detach(t, ns.PID(deviceless.PID), s)
	_ = alive.Kill()
	ovstest.Wait(t, "the last guest's port", func() error {
		_, err := c.Collect(t.Context(), h)
		if ok, _ := c.IsBridge(t.Context(), "ovs0"); ok && err == nil {
			err = errors.New("the bridge is there")
		}
		return err
	})
}

// TestOrphansMany has more ports of dead guests than fit into one answer with all
// that is known of them.
func TestOrphansMany(t *testing.T) {
	const many = 12_000
	db := ovstest.Start(t)
	addBridgeRow(t, db, "ovs0")
	fill(newRaw(t, db), many, "port")
	c := shared(t, db)
	c.LookAgainAfter(time.Nanosecond)
	got, err := c.Orphans(t.Context(), host(t))
	if len(got) != many || err != nil {
		t.Errorf("found %d, %v", len(got), err)
	}
}

// TestReap takes the port of a dead guest, and neither that of a living one nor the
// bridge.
func TestReap(t *testing.T) {
	db, c := dummy(t)
	b := ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}
	s := spec(b, "10.0.0.1/24")
	dead, alive := nstest.Process(t), nstest.Process(t)
	of := func(at *pipework.Attachment) *link.Port {
		return &link.Port{Host: host(t), Name: "eth1", Mark: link.Mark{Link: b.String(), Interface: "eth1", Guest: at.Guest}}
	}
	gone := of(attach(t, ns.PID(dead.PID), s))
	last := of(attach(t, ns.PID(alive.PID), s))
	before := db.Dump(t)
	reap := func(p *link.Port) bool {
		t.Helper()
		reaped, err := b.Reap(t.Context(), p)
		if err != nil {
			t.Error(err)
		}
		return reaped
	}
	if reap(gone) || reap(last) || db.Dump(t) != before {
		t.Error("the living are reaped")
	}
	_ = dead.Kill()
	ovstest.Wait(t, "the dead guest's port", func() error {
		if !reap(gone) {
			return errors.New("it is there")
		}
		return nil
	})
	_ = alive.Kill()
	ovstest.Wait(t, "the last guest's port", func() error {
		if !reap(last) {
			return errors.New("it is there")
		}
		return nil
	})
	if names := strings.Fields(db.Vsctl(t, "list-ports", "ovs0")); len(names) > 0 {
		t.Error("left:", names)
	}
	if !reap(last) {
		t.Error("what is gone is not reaped")
	}
}

// TestCollectInterrupted ends between the two looks.
func TestCollectInterrupted(t *testing.T) {
	db, c := dummy(t)
	s := spec(ovs.Bridge{Name: "ovs0", Datapath: ovs.Netdev, Client: c}, "10.0.0.1/24")
	guest := nstest.Process(t)
	at := attach(t, ns.PID(guest.PID), s)
	_ = guest.Kill()
	ovstest.Wait(t, "device of a dead guest", func() error { return nstest.NoLink(t, at.HostName) })
	h := host(t)
	c.LookAgainAfter(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := c.Collect(ctx, h); !errors.Is(err, context.DeadlineExceeded) || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
	if got := strings.TrimSpace(db.Vsctl(t, "list-ports", "ovs0")); got != at.HostName {
		t.Errorf("ports %q", got)
	}
}

func TestIsBridge(t *testing.T) {
	db, c := dummy(t)
	db.Vsctl(t, "add-br", "lan")
	for name, want := range map[string]bool{"lan": true, "wan": false} {
		if got, err := ovs.IsBridge(t.Context(), db.Endpoint, name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		b, got, err := c.Lookup(t.Context(), name)
		if got != want || err != nil || b.String() != "ovs:"+name {
			t.Errorf("%s: %v, %v, %v", name, b, got, err)
		}
	}
}
