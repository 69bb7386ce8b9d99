//go:build linux

package uplink_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/uplink"
)

// TestRefused has what cannot be done refused with a reason and a way, and nothing changed; and
// Examine tell the same.
func TestRefused(t *testing.T) {
	s := newScene(t)
	for _, c := range []struct {
		name  string
		lines []string
		undo  []string
		plan  func(p *uplink.Plan)
		is    error
		says  string
	}{
		{"no NIC", nil, nil, func(p *uplink.Plan) { p.NIC = "nic9" }, fs.ErrNotExist, "no interface nic9 that could be put under br0: see `ip link`"},
		{"loopback", nil, nil, func(p *uplink.Plan) { p.NIC = "lo" }, fs.ErrInvalid, "loopback"},
		{"itself", nil, nil, func(p *uplink.Plan) { p.Bridge = "nic0" }, fs.ErrInvalid, "its own bridge"},
		{"no store", nil, nil, func(p *uplink.Plan) { p.Store = nil }, fs.ErrInvalid, "no store"},
		{"name", nil, nil, func(p *uplink.Plan) { p.Bridge = "a b" }, fs.ErrInvalid, `"a b"`},
		{"bridge as NIC", []string{"link add b1 type bridge", "link set b1 up"}, []string{"link del b1"}, func(p *uplink.Plan) { p.NIC = "b1" }, fs.ErrInvalid, "itself a bridge"},
		{"enslaved", []string{"link add b1 type bridge", "link set nic0 master b1"}, []string{"link del b1"}, nil, fs.ErrInvalid, "part of the bridge b1 already: ip link set nic0 nomaster"},
		{"no bridge", []string{"link add br0 type veth peer name b1"}, []string{"link del br0"}, nil, fs.ErrInvalid, "br0 is no bridge"},
		{"other addresses", []string{"link add br0 mtu 1500 type bridge", "addr add 10.7.0.1/24 dev br0"}, []string{"link del br0"}, nil, fs.ErrExist, "ip addr del 10.7.0.1/24 dev br0"},
		{"MTU", []string{"link add br0 mtu 1400 type bridge"}, []string{"link del br0"}, nil, fs.ErrInvalid, "ip link set br0 mtu 1500"},
		{"spanning tree", []string{"link add br0 mtu 1500 type bridge stp_state 1"}, []string{"link del br0"}, nil, fs.ErrInvalid, "stp_state 0"},
		{"another's uplink", []string{"link add br0 mtu 1500 type bridge", "link set br0 alias 'pipework uplink'"}, []string{"link del br0"}, nil, fs.ErrExist, "has no record"},
		{"rule", []string{"rule add iif nic0 table 9"}, []string{"rule del iif nic0 table 9"}, nil, fs.ErrInvalid, "ip rule"},
		{"nexthop object", []string{"nexthop add id 7 via 10.0.0.1 dev nic0", "route add 10.30.0.0/16 nhid 7"}, []string{"route del 10.30.0.0/16", "nexthop del id 7"}, nil, fs.ErrInvalid, "nexthop object"},
		{"order", []string{"link add v1 type veth peer name v2", "link set v1 up", "link set v2 up", "addr add 10.8.0.2/24 dev v1", "route append default via 10.8.0.1"}, []string{"link del v1"}, nil, fs.ErrInvalid, "another metric"},
		{"macvlan on it", []string{"link add link nic0 name m1 type macvlan mode bridge"}, []string{"link del m1"}, nil, errors.ErrUnsupported, "macvlan"},
		{"macvlan", []string{"link add link nic0 name m1 type macvlan mode bridge", "link set m1 up"}, []string{"link del m1"}, func(p *uplink.Plan) { p.NIC = "m1" }, fs.ErrInvalid, "stands on"},
		{"down", []string{"link set nic0 down"}, nil, nil, fs.ErrInvalid, "ip link set nic0 up"}, // with which addresses go
	} {
		t.Run(c.name, func(t *testing.T) {
			some := func(lines []string) {
				for _, line := range lines {
					run(t, s.host, exec.CommandContext(t.Context(), "sh", "-c", "ip "+line))
				}
			}
			some(c.lines)
			defer some(c.undo)
			if c.undo != nil {
				atRest(t, s.host)
			}
			before := s.snapshot(t)
			plan := s.plan
			if c.plan != nil {
				c.plan(&plan)
			}
			_, err := uplink.Move(t.Context(), plan)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			s.unchanged(t, before)
			if _, err := uplink.Undo(t.Context(), s.plan); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("nothing to undo: %v", err)
			}
		})
	}
}

// TestManaged has programs of these names look after the NIC.
func TestManaged(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t)
	for name, c := range map[string]struct {
		args []string
		file string
		text string
		says string // "": it does not look after the NIC
	}{
		"NetworkManager":            {nil, "/run/NetworkManager/devices/%d", "[device]\nmanaged=true\n", "nmcli device set nic0 managed no"},
		"NetworkManager, unmanaged": {nil, "/run/NetworkManager/devices/%d", "[device]\nmanaged=false\n", ""},
		"systemd-networkd":          {nil, "/run/systemd/netif/links/%d", "ADMIN_STATE=configured\nOPER_STATE=routable\n", "Unmanaged=yes"},
		"systemd-networkd, foreign": {nil, "/run/systemd/netif/links/%d", "ADMIN_STATE=unmanaged\n", ""},
		"dhclient":                  {[]string{"nic0"}, "", "", "have it run on br0"},
		"dhclient, other":           {[]string{"nic1"}, "", "", ""},
		"dhcpcd":                    {[]string{"nic0"}, "", "", "denyinterfaces nic0"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file != "" {
				var index int
				if _, err := fmt.Sscanf(raw(t, s.host, "-o link show nic0"), "%d:", &index); err != nil {
					t.Fatal(err)
				}
				path := fmt.Sprintf(c.file, index)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(c.text), 0o644)); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.Remove(path) })
			}
			program, _, _ := strings.Cut(name, ",")
			as := filepath.Join(t.TempDir(), program)
			if err := os.Symlink(sh, as); err != nil {
				t.Fatal(err)
			}
			// A shell as the program: what follows its script are words that it does not look at.
			cmd := exec.CommandContext(t.Context(), as, append([]string{"-c", "read x"}, c.args...)...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = in.Close() })
			if err := s.host.Start(t.Context(), cmd); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
			testwait.Eventually(t, "the program runs", func() bool {
				comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
				return strings.HasPrefix(program, strings.TrimSpace(string(comm)))
			})
			plan := s.plan
			_, err = uplink.Move(t.Context(), plan)
			defer undoAll(t, s)
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			plan.Managed = true
			m, err := uplink.Move(t.Context(), plan)
			if err != nil || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], c.says) {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}
