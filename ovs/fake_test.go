//go:build linux

package ovs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// vsctl is what ovs-vsctl prints, without the end of the line.
func vsctl(t testing.TB, db *ovstest.Database, args ...string) string {
	t.Helper()
	return strings.TrimSpace(db.Vsctl(t, args...))
}

// addFake makes bridge lan, and a fake bridge of its VLAN.
func addFake(t testing.TB, db *ovstest.Database, name string, vlan int) {
	t.Helper()
	addBridge(t, db, "lan")
	db.Vsctl(t, "add-br", name, "lan", fmt.Sprint(vlan))
}

// TestFakeBridge compares a port of a fake bridge with what ovs-vsctl makes of it.
func TestFakeBridge(t *testing.T) {
	db, c := dummy(t)
	addFake(t, db, "br-v30", 30)
	for name, want := range map[string]bool{"br-v30": true, "br-v31": false} {
		if b, exists, err := c.Lookup(t.Context(), name); exists != want || err != nil || b.String() != "ovs:"+name {
			t.Errorf("%s: %v, %v, %v", name, b, exists, err)
		}
	}
	unchanged(t, db)
	target, guest := nstest.Guest(t)
	world := nstest.Observe(t, guest.Handle)
	s := spec(ovs.Bridge{Name: "br-v30", Client: c}, "10.0.0.1/24")
	at := attach(t, target, s)
	port := at.HostName
	if got := vsctl(t, db, "port-to-br", port); got != "br-v30" || at.Link != "ovs:br-v30" {
		t.Errorf("port of %s, link %s", got, at.Link)
	}
	if got := vsctl(t, db, "get", "Port", port, "tag"); got != "30" {
		t.Errorf("tag %s", got)
	}
	if at := attach(t, target, s); !at.Existed || len(at.Mended) > 0 {
		t.Errorf("again: %+v", at)
	}
	spelled := spec(ovs.Bridge{Name: "br-v30", Tag: 30, Client: c}, "10.0.0.1/24")
	if at, err := pipework.Check(t.Context(), target, spelled); err != nil || len(at.Drifts) > 0 {
		t.Errorf("with the VLAN spelled out: %+v, %v", at, err)
	}
	drifts := func(want string) {
		t.Helper()
		at, err := pipework.Check(t.Context(), target, s)
		if err != nil || cmp.Diff([]string{want}, at.Drifts) != "" {
			t.Errorf("%+v, %v; want the drift %s", at, err, want)
		}
	}
	db.Vsctl(t, "--no-wait", "set", "Port", port, "tag=31")
	drifts("tag of port " + port + " is 31 instead of 30")
	db.Vsctl(t, "--no-wait", "del-port", port)
	drifts("host end " + port + " is not a port of br-v30")
	attach(t, target, s)
	if got := vsctl(t, db, "list-ports", "br-v30"); got != port {
		t.Errorf("mended: ports %q", got)
	}
	detach(t, target, s)
	world.Unchanged(t)
}

// TestFakeBridgeRefused has what a fake bridge cannot be.
func TestFakeBridgeRefused(t *testing.T) {
	db, c := dummy(t)
	addFake(t, db, "br-v30", 30)
	db.Vsctl(t, "add-br", "ovs-v0", "lan", "0")
	target, guest := nstest.Guest(t)
	unchanged(t, db)
	world := nstest.Observe(t, guest.Handle)
	for _, tc := range []struct {
		bridge ovs.Bridge
		is     error
		says   string
	}{
		{ovs.Bridge{Name: "br-v30", Tag: 31}, fs.ErrInvalid, "br-v30 is VLAN 30 of bridge lan"},
		{ovs.Bridge{Name: "br-v30", Trunks: []int{30}}, fs.ErrInvalid, "br-v30 is VLAN 30 of bridge lan"},
		{ovs.Bridge{Name: "br-v30", VLANMode: ovs.Trunk}, fs.ErrInvalid, "br-v30 is VLAN 30 of bridge lan"},
		{ovs.Bridge{Name: "br-v30", Datapath: ovs.System}, fs.ErrInvalid, "has the datapath netdev, not system"},
		{ovs.Bridge{Name: "br-v31"}, fs.ErrNotExist, "no bridge br-v31"},
		{ovs.Bridge{Name: "ovs-v0"}, fs.ErrInvalid, "VLAN 0"},
	} {
		tc.bridge.Client = c
		_, err := pipework.Attach(t.Context(), target, spec(tc.bridge, "10.0.0.1/24"))
		if !errors.Is(err, tc.is) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%+v: %v", tc.bridge, err)
		}
	}
	world.Unchanged(t)
}

// TestFakeBridgeGuards changes the fake bridge under an attach, at the last moment.
func TestFakeBridgeGuards(t *testing.T) {
	for _, tc := range []struct {
		name string
		vsct string
		is   error
		port string // the bridge that has it, and its tag
	}{
		{"gone", "del-br br-v30", fs.ErrNotExist, ""},
		{"another VLAN", "set Port br-v30 tag=31", nil, "br-v30 31"},
		{"another bridge", "del-br br-v30 -- add-br br-v30 other 30", nil, "br-v30 30"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, c := dummy(t)
			addFake(t, db, "br-v30", 30)
			addBridge(t, db, "other")
			target, guest := nstest.Guest(t)
			world := nstest.Observe(t, guest.Handle)
			s := spec(ovs.Bridge{Name: "br-v30", Client: c}, "10.0.0.1/24")
			ctx := secondTime(t.Context(), "add port", func() { db.Vsctl(t, append([]string{"--no-wait"}, strings.Fields(tc.vsct)...)...) })
			at, err := pipework.Attach(ctx, target, s)
			if !errors.Is(err, tc.is) || (err != nil) != (tc.is != nil) {
				t.Fatal(err)
			}
			if err == nil {
				if got := vsctl(t, db, "port-to-br", at.HostName) + " " + vsctl(t, db, "get", "Port", at.HostName, "tag"); got != tc.port {
					t.Errorf("port %s", got)
				}
				detach(t, target, s)
			}
			world.Unchanged(t)
		})
	}
}

// TestFakeBridgeDetach takes ports away when nobody knows the fake bridge any more,
// and when their guest is dead.
func TestFakeBridgeDetach(t *testing.T) {
	db, c := dummy(t)
	addFake(t, db, "br-v30", 30)
	current, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = current.Close() })
	conn, err := current.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := spec(ovs.Bridge{Name: "br-v30", Client: c}, "10.0.0.1/24")
	dead := nstest.Process(t)
	at := attach(t, ns.PID(dead.PID), s)
	_ = dead.Kill()
	ovstest.Wait(t, "device of a dead guest", func() error { return nstest.NoLink(t, at.HostName) })
	c.LookAgainAfter(time.Millisecond)
	got, err := c.Collect(t.Context(), link.Host{Handle: current, Conn: conn})
	if err != nil || cmp.Diff([]string{at.HostName}, contract.Names(got)) != "" {
		t.Errorf("collected %q, %v", got, err)
	}
	target, _ := nstest.Guest(t)
	at = attach(t, target, s)
	db.Vsctl(t, "--no-wait", "set", "Port", "br-v30", "fake_bridge=false")
	detach(t, target, s)
	if got := vsctl(t, db, "list-ports", "lan"); got != "br-v30" {
		t.Errorf("ports %q", got)
	}
}

// TestFakeBridgeCarries has frames pass between a fake bridge and the VLAN that it
// is, and no other.
func TestFakeBridgeCarries(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		db := ovstest.Start(t)
		db.Switch(t, d, nil)
		db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type="+setting)
		db.Vsctl(t, "add-br", "br-v30", "lan", "30")
		c := shared(t, db)
		guests := map[string]*ns.Guest{}
		for addr, b := range map[string]ovs.Bridge{
			"10.0.0.1": {Name: "br-v30", Client: c}, "10.0.0.2": {Name: "lan", Tag: 30, Client: c}, "10.0.0.3": {Name: "lan", Tag: 31, Client: c},
		} {
			target, guest := nstest.Guest(t)
			s := spec(b, addr+"/24")
			attach(t, target, s)
			defer detach(t, target, s)
			guests[addr] = guest
		}
		nstest.Ping(t, guests["10.0.0.1"].Handle, "10.0.0.2")
		nstest.NoPing(t, guests["10.0.0.1"].Handle, "10.0.0.3")
	})
}
