//go:build linux

package uplink_test

import (
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
)

// TestDrift has somebody change an uplink: List tells, Mend puts it right, and it is what it was.
func TestDrift(t *testing.T) {
	s := newScene(t)
	ip(t, s.host, "addr add 10.0.0.3/24 dev nic0", "addr add 10.3.0.5/16 dev nic0 valid_lft 5000 preferred_lft 4000",
		"route add 10.20.0.0/16 via 10.0.0.9 metric 5", "route add default via 10.0.0.1 table 100",
		"route add 10.40.0.0/16 via 10.3.0.1", "route add fd20::/64 via fd00::9 metric 5", "route add 10.41.0.0/16 via 10.0.0.1 proto dhcp")
	if all, err := uplink.List(t.Context(), s.plan); len(all) > 0 || err != nil {
		t.Errorf("nothing is recorded: %+v, %v", all, err)
	}
	if mended, err := uplink.Mend(t.Context(), s.plan); len(mended) > 0 || err != nil {
		t.Errorf("nothing is recorded: %v", err)
	}
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	atRest(t, s.host)
	is := func(state keep.State, details ...string) {
		t.Helper()
		all, err := uplink.List(t.Context(), uplink.Plan{Store: s.plan.Store, Host: s.plan.Host})
		if err != nil || len(all) != 1 || all[0].State != state || !slices.Equal(all[0].Details, details) || all[0].OK() != (details == nil) {
			t.Errorf("got %+v, %v", all, err)
		}
	}
	is(keep.AsDeclared)
	was := s.snapshot(t)
	for _, c := range []struct {
		name   string
		lines  []string
		tables func(*nftables.Conn)
		is     keep.State
		says   []string
		reborn bool // the bridge is another one
	}{
		{"address", []string{"ip addr del 10.0.0.3/24 dev br0"}, nil, keep.Drifted, []string{"address 10.0.0.3/24 is gone"}, false},
		{"route", []string{"ip route del 10.20.0.0/16 metric 5", "ip route del default table 100", "ip route del fd20::/64 metric 5"}, nil, keep.Drifted,
			[]string{"route default via 10.0.0.1 is gone", "route 10.20.0.0/16 via 10.0.0.9 metric 5 is gone", "route fd20::/64 via fd00::9 metric 5 is gone"}, false},
		{"another route in its place", []string{"ip route replace 10.20.0.0/16 via 10.0.0.8 metric 5"}, nil, keep.Drifted, []string{"route 10.20.0.0/16 via 10.0.0.9 metric 5 is gone"}, false},
		{"no port", []string{"ip link set nic0 nomaster"}, nil, keep.Drifted, []string{"nic0 is no port of br0"}, false},
		{"filter", nil, (*nftables.Conn).FlushRuleset, keep.Drifted, []string{"guests on br0 could be routers of the host's: the tables pipework-uplink-br0 of nftables are not as they were"}, false},
		{"rules", nil, func(c *nftables.Conn) {
			c.FlushChain(&nftables.Chain{Name: "drop", Table: &nftables.Table{Name: "pipework-uplink-br0", Family: nftables.TableFamilyINet}})
		}, keep.Drifted, []string{"guests on br0 could be routers of the host's: the tables pipework-uplink-br0 of nftables are not as they were"}, false},
		{"NIC has it, too", []string{"ip addr add 10.0.0.3/24 dev nic0"}, nil, keep.Drifted, []string{"nic0 has the address 10.0.0.3/24 of br0, too"}, false},
		{"bridge", []string{"ip link del br0"}, nil, keep.Missing, []string{"br0 is gone"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, line := range c.lines {
				run(t, s.host, exec.CommandContext(t.Context(), "sh", "-c", line))
			}
			if c.tables != nil {
				if err := s.host.Do(t.Context(), func() error {
					conn, err := nftables.New()
					if err != nil {
						return err
					}
					c.tables(conn)
					return conn.Flush()
				}); err != nil {
					t.Fatal(err)
				}
			}
			is(c.is, c.says...)
			mended, err := uplink.Mend(t.Context(), s.plan)
			if err != nil || !slices.Equal(mended, c.says) {
				t.Errorf("mended %q, %v", mended, err)
			}
			is(keep.AsDeclared)
			if mended, err := uplink.Mend(t.Context(), s.plan); err != nil || len(mended) > 0 {
				t.Errorf("again: %q, %v", mended, err)
			}
			atRest(t, s.host)
			if !c.reborn {
				s.unchanged(t, was)
			}
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
			nstest.Ping(t, s.remote.Handle, "fd00::2")
		})
	}

	// What others give and take, or add, is no drift.
	for _, line := range []string{"addr del 10.3.0.5/16 dev br0", "route del 10.41.0.0/16", "addr add 10.0.0.77/24 dev br0", "route add 10.42.0.0/16 via 10.0.0.1"} {
		ip(t, s.host, line)
	}
	is(keep.AsDeclared)

	// Something down, and with it what the kernel then takes away.
	ip(t, s.host, "link set br0 down", "link set nic0 down")
	if all, err := uplink.List(t.Context(), s.plan); err != nil || len(all) != 1 || !strings.HasPrefix(all[0].String(), "uplink br0: nic0 drifted: nic0 is down; br0 is down; address fd00::2/64 is gone; ") {
		t.Errorf("%v, %v", all, err)
	}
	if mended, err := uplink.Mend(t.Context(), s.plan); err != nil {
		t.Error(mended, err)
	}
	is(keep.AsDeclared)
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")

	// What cannot be mended is told.
	ip(t, s.host, "link add b1 type bridge", "link set nic0 master b1")
	is(keep.Drifted, "nic0 is part of something else than br0")
	if mended, err := uplink.Mend(t.Context(), s.plan); len(mended) > 0 || err == nil || !strings.Contains(err.Error(), "ip link set nic0 master br0") {
		t.Errorf("%q, %v", mended, err)
	}
	ip(t, s.host, "link del b1", "addr del 10.0.0.77/24 dev br0")
	if mended, err := uplink.Mend(t.Context(), s.plan); len(mended) != 1 || err != nil {
		t.Errorf("%q, %v", mended, err)
	}
	ip(t, s.host, "addr add 10.3.0.5/16 dev br0 valid_lft 5000 preferred_lft 4000", "route add 10.40.0.0/16 via 10.3.0.1", "route add 10.41.0.0/16 via 10.0.0.1 proto dhcp")
	undoAll(t, s)
	atRest(t, s.host)

	// A call that was killed, and one that goes on.
	kills := 0
	_, err := uplink.Move(fault.Kill(t.Context(), func(string) error {
		if kills++; kills == 40 {
			return errors.New("killed")
		}
		return nil
	}), s.plan)
	if err == nil {
		t.Fatal("a move has fewer steps")
	}
	is(keep.Unfinished, "a call is at work, or was killed: pipework uplink --undo br0 nic0")
	if mended, err := uplink.Mend(t.Context(), s.plan); len(mended) != 1 || err != nil {
		t.Errorf("%q, %v", mended, err)
	}
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	if all, err := uplink.List(t.Context(), s.plan); len(all) > 0 || err != nil {
		t.Errorf("it was undone: %+v, %v", all, err)
	}
}

// TestDriftOnSwitch is TestDrift for what differs with Open vSwitch.
func TestDriftOnSwitch(t *testing.T) {
	s := newScene(t)
	sort{true, ovstest.Userspace}.on(t, s)
	dry := s.plan
	dry.DryRun = true
	if m, err := uplink.Move(t.Context(), dry); err != nil || !slices.Contains(m.Plan, "make nic0 a port of br0") {
		t.Errorf("%+v, %v", m, err)
	}
	if x, err := uplink.Examine(t.Context(), s.plan); err != nil || len(x.Refused) > 0 {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := uplink.Config(t.Context(), s.plan, "networkd"); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if files, err := uplink.Config(t.Context(), s.plan, "netplan"); err != nil || !strings.Contains(files[0].Text, "openvswitch:") {
		t.Error(files, err)
	}
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){
		"address 10.0.0.2/24 is gone": func() { ip(t, s.host, "addr del 10.0.0.2/24 dev br0") },
		"nic0 is no port of br0":      func() { s.db.Vsctl(t, "del-port", "br0", "nic0") },
		"guests on br0 could be routers of the host's: the tables pipework-uplink-br0 of nftables, or the bridge's flows, are not as they were": func() { s.dropTables(t) },
		"guests on br0 could be routers of the host's: the tables":                                                                              func() { s.db.Ofctl(t, "del-flows", "br0", "icmp6"); s.db.Ofctl(t, "del-flows", "br0", "icmp") },
	} {
		if all, err := uplink.List(t.Context(), s.plan); err != nil || len(all) != 1 || !all[0].OK() {
			t.Errorf("before %q: %v, %v", name, all, err)
		}
		change()
		if mended, err := uplink.Mend(t.Context(), s.plan); err != nil || !slices.ContainsFunc(mended, func(is string) bool { return strings.HasPrefix(is, name) }) {
			t.Errorf("%q: mended %q, %v", name, mended, err)
		}
		nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	}
	undoAll(t, s)
}

// TestDryRun tells what would be done, and changes nothing; Examine tells all that is refused.
func TestDryRun(t *testing.T) {
	s := newScene(t)
	before := s.snapshot(t)
	dry := s.plan
	dry.DryRun = true
	m, err := uplink.Move(t.Context(), dry)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"make the bridge br0 with the MAC ", "make nic0 a port of br0", "move the address 10.0.0.2/24 to br0", "move the route default via 10.0.0.1 to br0"} {
		if !slices.ContainsFunc(m.Plan, func(is string) bool { return strings.HasPrefix(is, line) }) {
			t.Errorf("%q is not in %q", line, m.Plan)
		}
	}
	s.unchanged(t, before)
	if _, err := uplink.Undo(t.Context(), dry); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	x, err := uplink.Examine(t.Context(), uplink.Plan{NIC: "nic0", Bridge: "br0", Host: s.plan.Host})
	if err != nil || len(x.Refused) > 0 || len(x.Notes) != 1 || !strings.Contains(x.Notes[0], "trunk") {
		t.Errorf("%+v, %v", x, err)
	}
	ip(t, s.host, "link add br0 mtu 1400 type bridge", "rule add iif nic0 table 9", "link add link nic0 name m1 type macvlan mode bridge")
	before = s.snapshot(t)
	x, err = uplink.Examine(t.Context(), s.plan)
	if err != nil || len(x.Refused) != 3 || !strings.Contains(strings.Join(x.Refused, "; "), "the macvlan interface m1 on it") {
		t.Errorf("%+v, %v", x, err)
	}
	s.unchanged(t, before)
	ip(t, s.host, "link del br0", "rule del iif nic0 table 9", "link del m1")
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	before = s.snapshot(t)
	if m, err = uplink.Undo(t.Context(), dry); err != nil || !slices.Contains(m.Plan, "take nic0 from br0") || !slices.Contains(m.Plan, "move the address 10.0.0.2/24 to nic0") {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = uplink.Move(t.Context(), dry); err != nil || !m.Existed || len(m.Plan) > 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if x, err = uplink.Examine(t.Context(), s.plan); err != nil || !x.Existed || len(x.Refused) > 0 {
		t.Errorf("%+v, %v", x, err)
	}
	s.unchanged(t, before)
	undoAll(t, s)
}
