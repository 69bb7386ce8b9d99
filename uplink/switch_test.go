//go:build linux

package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/nftables"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/uplink"
)

// TestTwoHosts is the scenario of every tutorial: two hosts, whose NICs are trunks, and VLANs 100 and
// 200 with a guest on each host. Nothing but Move makes the bridges.
func TestTwoHosts(t *testing.T) {
	switches(t, func(t *testing.T, as sort) {
		type guest struct {
			*ns.Guest
			vlan int
			addr string
		}
		var hosts []*ns.Guest
		var names []ns.Named
		for range 2 {
			name, host := nstest.Guest(t)
			sysctl(t, host, "net.ipv6.conf.default.accept_dad=0")
			hosts, names = append(hosts, host), append(names, name)
		}
		ip(t, hosts[0], "link add nic0 type veth peer name nic0 netns "+string(names[1]))
		var all []guest
		for i, host := range hosts {
			ip(t, host, "link set nic0 up", fmt.Sprintf("addr add 192.168.0.%d/24 dev nic0", i+1))
			db := ovstest.Start(t)
			db.Switch(t, as.datapath, host.Handle)
			client := &ovs.Client{Endpoint: db.Endpoint}
			store, err := keep.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			plan := uplink.Plan{NIC: "nic0", Bridge: "ovs0", Store: store, Host: host.Handle, OVS: client}
			if _, err := uplink.Move(t.Context(), plan); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if m, err := uplink.Undo(context.WithoutCancel(t.Context()), plan); err != nil || len(m.Warnings) > 0 {
					t.Errorf("%+v, %v", m, err)
				}
				_, _ = store.Close(), client.Close()
			})
			a := &pipework.Attacher{Host: host.Handle}
			for j, vlan := range []int{100, 200} {
				target, g := nstest.Guest(t)
				addr := fmt.Sprintf("10.0.0.%d", 1+2*i+j)
				s := pipework.Spec{Link: ovs.Bridge{Name: "ovs0", Tag: vlan, Client: client}, Addrs: []netip.Prefix{netip.MustParsePrefix(addr + "/24")}}
				if _, err := a.Attach(t.Context(), target, s); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if _, err := a.Detach(context.WithoutCancel(t.Context()), target, s); err != nil {
						t.Error(err)
					}
				})
				all = append(all, guest{g, vlan, addr})
			}
		}
		for _, from := range all {
			nstest.NoPing(t, from.Handle, "192.168.0.1")
			for _, to := range all {
				switch {
				case from == to:
				case from.vlan == to.vlan:
					nstest.Ping(t, from.Handle, to.addr)
				default:
					nstest.NoPing(t, from.Handle, to.addr)
				}
			}
		}
		nstest.Ping(t, hosts[0].Handle, "192.168.0.2")
	})
}

// TestSwitchRestarts has ovs-vswitchd killed after the move, and started again: the host is reached.
// What routers say is heard by flows in userspace, which another Move puts again.
func TestSwitchRestarts(t *testing.T) {
	switches(t, func(t *testing.T, as sort) {
		s := newScene(t)
		as.on(t, s)
		before := s.snapshot(t)
		for _, next := range []func(){
			func() {
				if m, err := uplink.Move(t.Context(), s.plan); err != nil || !m.Existed {
					t.Errorf("%+v, %v", m, err)
				}
				if flows := s.db.Flows(t, "br0"); strings.Contains(flows, "icmp_type=134") != (as.datapath == ovstest.Userspace) {
					t.Errorf("flows:\n%s", flows)
				}
			},
			func() { // the bridge's interface is another one, without addresses
				s.vswitchd.Kill()
				s.loseDatapath(t)
				s.vswitchd = s.db.Switch(t, as.datapath, s.host.Handle)
				if m, err := uplink.Move(t.Context(), s.plan); err != nil || m.Existed {
					t.Errorf("%+v, %v", m, err)
				}
			},
			func() {},
		} {
			if _, err := uplink.Move(t.Context(), s.plan); err != nil {
				t.Fatal(err)
			}
			s.vswitchd.Kill()
			s.vswitchd = s.db.Switch(t, as.datapath, s.host.Handle)
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
			next()
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
			nstest.Ping(t, s.remote.Handle, "fd00::2")
			if m, err := uplink.Undo(t.Context(), s.plan); err != nil || len(m.Warnings) > 0 {
				t.Errorf("%+v, %v", m, err)
			}
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
			s.unchanged(t, before)
		}

		// It may be dead when the NIC is taken back.
		if _, err := uplink.Move(t.Context(), s.plan); err != nil {
			t.Fatal(err)
		}
		s.vswitchd.Kill()
		m, err := uplink.Undo(t.Context(), s.plan)
		if err != nil || len(m.Warnings) == 0 {
			t.Errorf("%+v, %v", m, err)
		}
		nstest.Ping(t, s.remote.Handle, "10.0.0.2")
		s.vswitchd = s.db.Switch(t, as.datapath, s.host.Handle)
		nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	})
}

// TestReboot has the machine start again: the database is as it was, and the NIC comes up with its
// addresses, as configured. It must not be a port of the bridge for longer than until somebody looks.
func TestReboot(t *testing.T) {
	switches(t, func(t *testing.T, as sort) {
		s := newScene(t)
		as.on(t, s)
		before := s.snapshot(t)
		for name, look := range map[string]func() error{
			"ovs-ctl": func() error { // with OVS_CTL_OPTS=--delete-transient-ports, before ovs-vswitchd starts
				for _, port := range strings.Fields(s.db.Vsctl(t, "--no-wait", "--bare", "--", "--columns=name", "find", "port", "other_config:transient=true")) {
					s.db.Vsctl(t, "--no-wait", "del-port", port)
				}
				return nil
			},
			"gc": func() error {
				conn, err := s.host.Conn(t.Context())
				if err != nil {
					return err
				}
				defer func() { _ = conn.Close() }()
				all, err := s.plan.OVS.Collect(t.Context(), link.Host{Handle: s.host.Handle, Conn: conn})
				if err == nil && (len(all) != 1 || all[0].Name != "nic0") {
					err = fmt.Errorf("collected %v", all)
				}
				return err
			},
			"the next undo": func() error {
				if _, err := uplink.Undo(t.Context(), s.plan); !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("undo: %w", err)
				}
				return nil
			},
			"the next move": func() error {
				if _, err := uplink.Move(t.Context(), s.plan); err != nil {
					return err
				}
				nstest.Ping(t, s.remote.Handle, "10.0.0.2")
				undoAll(t, s)
				return nil
			},
		} {
			if _, err := uplink.Move(t.Context(), s.plan); err != nil {
				t.Fatal(err)
			}
			s.reboot(t)
			if err := look(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
			nstest.Ping(t, s.remote.Handle, "fd00::2")
			if ports := s.db.Vsctl(t, "--bare", "--columns=name", "find", "port", "name=nic0"); strings.TrimSpace(ports) != "" {
				t.Errorf("%s: the NIC is a port still", name)
			}
			if _, err := uplink.Undo(t.Context(), s.plan); !errors.Is(err, fs.ErrNotExist) { // forgets the record
				t.Errorf("%s: %v", name, err)
			}
			s.unchanged(t, before)
		}
	})
}

// loseDatapath has the bridge's interface, and what forwards for it, vanish.
func (s *scene) loseDatapath(t *testing.T) {
	t.Helper()
	if s.datapath == ovstest.Kernel {
		run(t, s.host, exec.CommandContext(t.Context(), "ovs-dpctl", "del-dp", "ovs-system"))
		return
	}
	ip(t, s.host, "link del br0", "link del ovs-netdev")
}

// reboot does to the host what that does: the kernel forgets, the NIC gets the addresses that it is
// configured with, and Open vSwitch starts with its database, all of which is of an earlier boot.
func (s *scene) reboot(t *testing.T) {
	t.Helper()
	s.vswitchd.Kill()
	s.loseDatapath(t)
	s.dropTables(t)
	ip(t, s.host, "addr flush dev nic0 scope global", "link set nic0 promisc off", "addr add 10.0.0.2/24 brd + dev nic0", "addr add fd00::2/64 dev nic0 nodad",
		"route add default via 10.0.0.1", "route add default via fd00::1")
	s.db.Vsctl(t, "--no-wait", "set", "port", "nic0", "external_ids:pipework.boot=an-earlier-one")
	note := keep.Note{Kind: "uplink", Of: "br0"}
	text, err := s.plan.Store.Note(note)
	if err == nil {
		err = s.plan.Store.PutNote(note, []byte(strings.Replace(string(text), ns.BootID(), "an-earlier-one", 1)))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.vswitchd = s.db.Switch(t, s.datapath, s.host.Handle)
	atRest(t, s.host)
}

// TestRefusedBySwitch has what cannot be done refused with a reason and a way, and nothing changed.
func TestRefusedBySwitch(t *testing.T) {
	switches(t, func(t *testing.T, as sort) {
		s := newScene(t)
		as.on(t, s)
		s.addBridge(t)
		ip(t, s.host, "link set br0 up", "link add p1 type veth peer name p2", "link set p1 up", "link set p2 up")
		atRest(t, s.host)
		for name, c := range map[string]struct {
			set, reset string // arguments of ovs-vsctl
			is         error
			says       string
		}{
			"controller":    {"set-controller br0 tcp:127.0.0.1:1", "del-controller br0", fs.ErrInvalid, "ovs-vsctl del-controller br0"},
			"secure":        {"set-fail-mode br0 secure", "del-fail-mode br0", fs.ErrInvalid, "ovs-vsctl del-fail-mode br0"},
			"spanning tree": {"set bridge br0 rstp_enable=true", "set bridge br0 rstp_enable=false -- clear bridge br0 rstp_status", fs.ErrInvalid, "rstp_enable=false"},
			"VLAN of host":  {"set port br0 tag=7", "clear port br0 tag", fs.ErrInvalid, "ovs-vsctl clear port br0 tag"},
			"MTU":           {"set interface br0 mtu_request=1400", "set interface br0 mtu_request=1500", fs.ErrInvalid, "mtu_request=1500"},
			"port":          {"add-port br0 nic0", "del-port nic0", fs.ErrInvalid, "ovs-vsctl del-port nic0"},
			"bond":          {"add-bond br0 bond0 nic0 p1", "del-port bond0", fs.ErrInvalid, "part of the bond bond0 of Open vSwitch"},
			"DPDK":          {"--no-wait add-port br0 dpdk0 -- set interface dpdk0 type=dpdk", "--no-wait del-port dpdk0", fs.ErrInvalid, "dpdk0 by DPDK"},
			"other's":       {"add-port br0 p1 -- set port p1 external_ids:pipework.made=uplink", "del-port p1", fs.ErrExist, "ovs-vsctl del-port p1"},
		} {
			s.db.Vsctl(t, strings.Fields(c.set)...)
			before := s.snapshot(t)
			_, err := uplink.Move(t.Context(), s.plan)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v", name, err)
			}
			s.unchanged(t, before)
			s.db.Vsctl(t, strings.Fields(c.reset)...)
		}
		refused := func(plan uplink.Plan, is error, says string) {
			t.Helper()
			before := s.snapshot(t)
			_, err := uplink.Move(t.Context(), plan)
			if !errors.Is(err, is) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			s.unchanged(t, before)
		}
		ip(t, s.host, "addr add 10.7.0.1/24 dev br0")
		refused(s.plan, fs.ErrExist, "ip addr del 10.7.0.1/24 dev br0")
		ip(t, s.host, "addr del 10.7.0.1/24 dev br0")
		plan := s.plan
		s.db.Vsctl(t, "add-port", "br0", "nic0") // which in userspace the NIC does not tell
		plan.Bridge = "bridge:br1"
		refused(plan, fs.ErrInvalid, "nic0 is a port of Open vSwitch: ovs-vsctl del-port nic0")
		s.db.Vsctl(t, "del-port", "nic0")
		s.db.Vsctl(t, "add-br", "br0-v7", "br0", "7")
		plan.Bridge = "br0-v7"
		refused(plan, fs.ErrInvalid, "stands for one VLAN of another bridge")
		s.db.Vsctl(t, "del-br", "br0-v7")
		plan.Bridge = "ovs:p2"
		refused(plan, fs.ErrInvalid, "p2 is no bridge of Open vSwitch")
		plan.Bridge = "bridge:br0"
		refused(plan, fs.ErrInvalid, "br0 is no bridge")
		plan.Bridge, plan.OVS = "ovs7", &ovs.Client{Endpoint: "unix:/run/nobody.sock"}
		_, err := uplink.Move(t.Context(), plan)
		if !errors.Is(err, fs.ErrNotExist) && !strings.Contains(fmt.Sprint(err), "start Open vSwitch") {
			t.Errorf("got %v", err)
		}
		s.db.Vsctl(t, "del-br", "br0")
		s.vswitchd.Stop(t)
		defer s.vswitchd.Continue(t)
		if _, err := uplink.Move(t.Context(), s.plan); err == nil || !strings.Contains(err.Error(), "is it running?") {
			t.Errorf("got %v", err)
		}
		nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	})
}

// dropTables removes our tables of nftables, as a restart does.
func (s *scene) dropTables(t *testing.T) {
	t.Helper()
	err := s.host.Do(t.Context(), func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		for _, family := range []nftables.TableFamily{nftables.TableFamilyNetdev, nftables.TableFamilyINet} {
			c.DelTable(&nftables.Table{Name: "pipework-uplink-br0", Family: family})
		}
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
}
