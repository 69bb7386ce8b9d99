//go:build linux

package uplink_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
)

// dhcpScript is what a client runs: dhclient and udhcpc have other words for the same.
const dhcpScript = `#!/bin/sh
ip=${new_ip_address:-$ip}; router=${new_routers:-$router}; life=${new_dhcp_lease_time:+valid_lft $new_dhcp_lease_time preferred_lft $new_dhcp_lease_time}
case ${reason:-$1} in
BOUND|RENEW|REBIND|REBOOT|bound|renew)
	/sbin/ip addr replace $ip/24 dev eth1 $life
	/sbin/ip route replace default via $router dev eth1 ;;
EXPIRE|RELEASE|STOP|deconfig)
	/sbin/ip addr flush dev eth1 scope global ;;
esac
/sbin/ip link set eth1 up
`

// client starts a DHCP client on the guest's eth1, with state of its own.
func client(t *testing.T, g *ns.Guest, line string, files map[string]string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// What clients keep below /var and /run is theirs alone.
	line = "mkdir -p run lib && mount --bind run /run && mount --bind lib /var/lib && mkdir /run/dhcpcd /var/lib/dhcpcd && touch leases && exec " + line
	cmd := exec.Command("unshare", "-m", "sh", "-c", line)
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 1
	if err := g.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log("the client said", said.String())
		}
	})
	return cmd
}

// TestDHCP takes the lease of each client over, who goes on after an undo, dhcpcd aside: it has one lease at the
// server all the time, with one identifier.
func TestDHCP(t *testing.T) {
	for _, program := range []string{"dnsmasq", "dhclient", "dhcpcd", "udhcpc"} {
		dhcptest.Need(t, program)
	}
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t, "--dhcp-option=option:router,"+dhcptest.Router)
	script := map[string]string{"script": dhcpScript, "conf": "", "id": "send dhcp-client-identifier \"\\000web\";\n",
		"dhcpcd.conf": "duid\npersistent\nnoipv4ll\nnoarp\noption routers, subnet_mask\n"}
	for name, line := range map[string]string{
		"dhclient":         "dhclient -d -lf $PWD/leases -pf $PWD/pid -cf $PWD/conf -sf $PWD/script eth1",
		"dhclient with id": "dhclient -d -lf $PWD/leases -pf $PWD/pid -cf $PWD/id -sf $PWD/script eth1",
		"udhcpc":           "udhcpc -f -i eth1 -s $PWD/script",
		"udhcpc with id":   "udhcpc -f -i eth1 -C -x 0x3d:00776562 -s $PWD/script",
		"dhcpcd":           "dhcpcd -B -4 -f $PWD/dhcpcd.conf --script /bin/true eth1",
	} {
		t.Run(name, func(t *testing.T) {
			_, g := nstest.Guest(t)
			sysctl(t, g, "net.ipv6.conf.default.disable_ipv6=1")
			eth1 := dhcptest.Plug(t, g)
			mac := eth1.Attrs().HardwareAddr.String()
			cmd := client(t, g, line, script)
			var had string
			lease := func(leases string) string { // MAC, address and identifier
				for l := range strings.Lines(leases) {
					if f := strings.Fields(l); len(f) == 5 && f[1] == mac {
						return strings.Join([]string{f[1], f[2], f[4]}, " ")
					}
				}
				return ""
			}
			addr := regexp.MustCompile(`inet (10\.77\.0\.\d+)/24`)
			testwait.Eventually(t, "the client has a lease", func() bool {
				had = lease(server.Leases(t))
				return had != "" && addr.MatchString(show(t, g, "addr show dev eth1")) && strings.Contains(show(t, g, "route"), "default")
			})
			store, err := keep.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			p := uplink.Plan{NIC: "eth1", Bridge: "br0", Store: store, Host: g.Handle}
			if _, err := uplink.Move(t.Context(), p); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "--dhcp") {
				t.Errorf("a client was not seen: %v", err)
			}
			p.DHCP = true
			if name == "udhcpc" { // what fails has the client go on
				p.Probe, p.Confirm = "arp:10.77.0.250", time.Second
				if _, err := uplink.Move(t.Context(), p); err == nil {
					t.Error("nobody has that address")
				}
				p.Probe, p.Confirm = "", 0
				state, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
				if err != nil || strings.Contains(string(state), ") T ") {
					t.Errorf("the client is stopped: %s, %v", state, err)
				}
			}
			m, err := uplink.Move(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "is stopped") {
				t.Error(m.Warnings)
			}
			is := func(where string) {
				t.Helper()
				if now := server.Leases(t); lease(now) != had || strings.Count(now, " "+mac+" ") != 1 {
					t.Errorf("the lease was %s, and is\n%s", had, now)
				}
				if got := addr.FindStringSubmatch(show(t, g, "addr show dev "+where)); got == nil || !strings.Contains(had, got[1]) {
					t.Errorf("%s has not the leased address: %s", where, show(t, g, "addr"))
				}
				nstest.Ping(t, g.Handle, dhcptest.Router)
			}
			is("br0")
			kept, err := uplink.Leases(t.Context(), store, g.Handle)
			if err != nil || len(kept) != 1 {
				t.Fatalf("%d leases, %v", len(kept), err)
			}
			renewed, end := context.WithCancel(t.Context())
			kept[0].Lease.Renew = time.Time{} // now
			kept[0].Event = func(e dhcp.Event) {
				if e.Kind != dhcp.Renewed {
					t.Errorf("%+v", e)
				}
				end()
			}
			if err := dhcp.Keep(renewed, kept...); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			is("br0")
			m, err = uplink.Undo(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			is("eth1")
			if name == "dhcpcd" {
				if len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "nobody renews") {
					t.Error(m.Warnings)
				}
				return
			}
			if len(m.Warnings) > 0 {
				t.Error(m.Warnings)
			}
			if _, err := uplink.Move(t.Context(), p); err != nil { // it is the client's as before
				t.Error(err)
			}
			if _, err := uplink.Undo(t.Context(), p); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForgedDHCP has a guest of the bridge play the server, once the real one has gone: what it says does
// not count, and it does not hear what it is asked.
func TestForgedDHCP(t *testing.T) {
	for _, program := range []string{"dnsmasq", "udhcpc"} {
		dhcptest.Need(t, program)
	}
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t, "--dhcp-option=option:router,"+dhcptest.Router)
	host, g := nstest.Guest(t)
	sysctl(t, g, "net.ipv6.conf.default.disable_ipv6=1")
	dhcptest.Plug(t, g)
	client(t, g, "udhcpc -f -i eth1 -s $PWD/script", map[string]string{"script": dhcpScript})
	testwait.Eventually(t, "the client has a lease", func() bool { return strings.Contains(show(t, g, "route"), "default") })
	store, err := keep.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	p := uplink.Plan{NIC: "eth1", Bridge: "br0", Store: store, Host: g.Handle, DHCP: true}
	if _, err := uplink.Move(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	_, guest := nstest.Guest(t)
	ip(t, guest, "link add eth0 type veth peer name port netns "+string(host), "link set eth0 up", "addr add 10.77.0.66/24 dev eth0")
	ip(t, g, "link set port master br0 up")
	server.Stop()
	said := filepath.Join(t.TempDir(), "said")
	client(t, guest, "dnsmasq -d -C /dev/null --port=0 --user=root --pid-file= --dhcp-leasefile=$PWD/l --log-facility="+said+
		" --interface=eth0 --bind-interfaces --dhcp-authoritative --dhcp-range=10.77.0.10,10.77.0.250,1h --dhcp-option=option:router,10.77.0.66", nil)
	testwait.Eventually(t, "the guest's server is up", func() bool {
		text, _ := os.ReadFile(said)
		return strings.Contains(string(text), "DHCP, IP range")
	})
	kept, err := uplink.Leases(t.Context(), store, g.Handle)
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d leases, %v", len(kept), err)
	}
	before := show(t, g, "route")
	asked, end := context.WithCancel(t.Context())
	kept[0].Lease.Renew, kept[0].Lease.Rebind = time.Now().Add(-2*time.Second), time.Now().Add(-time.Second) // all are asked
	kept[0].Config.Timeout, kept[0].Config.Tries = time.Second, 1
	kept[0].Event = func(e dhcp.Event) {
		if e.Kind == dhcp.Renewed {
			t.Errorf("a guest's answer counts: %+v", e)
		}
		end()
	}
	if err := dhcp.Keep(asked, kept...); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if now := show(t, g, "route"); now != before {
		t.Errorf("the routes were\n%s, and are\n%s", before, now)
	}
	if text, _ := os.ReadFile(said); strings.Contains(string(text), "DHCPREQUEST") {
		t.Errorf("the guest hears what its server is asked:\n%s", text)
	}
	if _, err := uplink.Undo(t.Context(), p); err != nil {
		t.Error(err)
	}
}
