//go:build linux

package program_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

func TestMain(m *testing.M) { nstest.MainRoot(m) }

// clients are the programs; dhcpcd leaves its privileges, which a sandbox's root
// cannot.
func clients(t *testing.T) []string {
	t.Helper()
	all := []string{"udhcpc", "dhclient"}
	if sandbox.IsRoot() {
		all = append(all, "dhcpcd")
	}
	for _, name := range all {
		dhcptest.Need(t, name)
	}
	return all
}

// lan is a network with dnsmasq, and hosts' files that no program may touch.
func lan(t *testing.T) *dhcptest.Server {
	t.Helper()
	hostFiles(t)
	dhcptest.Network(t)
	return dhcptest.Dnsmasq(t, "--dhcp-option=option:router,10.77.0.1", "--dhcp-option=option:dns-server,10.77.0.1", "--dhcp-option=option:domain-name,ln.test")
}

// hostFiles puts a file in the place of /etc/resolv.conf, and fails the test when
// it, or what else there is in /etc, /run and the programs' own folders, changes.
func hostFiles(t *testing.T) {
	t.Helper()
	decoy := filepath.Join(t.TempDir(), "resolv.conf")
	const text = "nameserver 192.0.2.1\n"
	check(t, os.WriteFile(decoy, []byte(text), 0o644))
	check(t, unix.Mount(decoy, "/etc/resolv.conf", "", unix.MS_BIND, ""))
	before := listing(t)
	t.Cleanup(func() {
		if diff := cmp.Diff(before, listing(t)); diff != "" {
			t.Errorf("the host's files (-before +after):\n%s", diff)
		}
		if now, err := os.ReadFile("/etc/resolv.conf"); err != nil || string(now) != text {
			t.Errorf("the host's /etc/resolv.conf: %q, %v", now, err)
		}
		check(t, unix.Unmount("/etc/resolv.conf", unix.MNT_DETACH))
	})
}

func listing(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{"/etc", "/run", "/var/lib/dhcp", "/var/lib/dhcpcd"} {
		found, err := filepath.Glob(dir + "/*")
		check(t, err)
		names = append(names, slices.DeleteFunc(found, func(path string) bool { return path == "/run/pipework.lock" })...)
	}
	host, err := os.Hostname()
	check(t, err)
	return append(names, "host name "+host)
}

func detach(t *testing.T, from pipework.Target, s pipework.Spec) {
	t.Helper()
	_, err := pipework.Detach(t.Context(), from, s)
	check(t, err)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func spec() pipework.Spec { return pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}} }

// web is a guest whose name is a host name, as a container's.
type web struct{ ns.PID }

func (w web) Open(ctx context.Context) (*ns.Guest, error) {
	g, err := w.PID.Open(ctx)
	if err == nil {
		g.Name = "web"
	}
	return g, err
}

func TestOnce(t *testing.T) {
	for _, name := range clients(t) {
		t.Run(name, func(t *testing.T) {
			s := lan(t)
			p := nstest.Process(t)
			target := web{ns.PID(p.PID)}
			g, err := target.Open(t.Context())
			check(t, err)
			defer func() { _ = g.Close() }()
			world := nstest.Observe(t, g.Handle)
			c := program.Client{Name: name, Output: writer{t}}
			at, running, err := c.Attach(t.Context(), new(pipework.Attacher), target, spec())
			if err != nil {
				t.Fatal(err)
			}
			if running != nil || at.Existed || len(at.Addrs) != 1 || !strings.HasPrefix(at.Addrs[0].String(), "10.77.0.") || len(at.Gateways) != 1 {
				t.Errorf("attachment %+v, %v", at, running)
			}
			s.Eventually(t, "the client", func(leases string) bool {
				return strings.Contains(leases, at.MAC.String()+" "+at.Addrs[0].Addr().String()+" web ")
			})
			nstest.Ping(t, g.Handle, dhcptest.Router)
			alone(t, p.PID)
			detach(t, target, spec())
			world.Unchanged(t)
		})
	}
}

// alone waits until the guest's network has no other process than pid.
func alone(t *testing.T, pid int) {
	t.Helper()
	testwait.Eventually(t, "nothing else is in the guest", func() bool { return len(in(t, pid)) == 0 })
}

// in lists other processes in the network of pid, by command line.
func in(t *testing.T, pid int) (list []string) {
	t.Helper()
	home, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/net")
	check(t, err)
	procs, err := filepath.Glob("/proc/[0-9]*")
	check(t, err)
	for _, proc := range procs {
		if at, err := os.Readlink(proc + "/ns/net"); err == nil && at == home && proc != "/proc/"+strconv.Itoa(pid) {
			line, _ := os.ReadFile(proc + "/cmdline")
			list = append(list, filepath.Base(proc)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return list
}

// A writer logs what a program says.
type writer struct{ t *testing.T }

func (w writer) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

// TestStays ends each program in each way.
func TestStays(t *testing.T) {
	ways := map[string]func(t *testing.T, cancel func(), p *sandbox.Process){
		"interrupted": func(_ *testing.T, cancel func(), _ *sandbox.Process) { cancel() },
		"guest dies":  func(_ *testing.T, _ func(), p *sandbox.Process) { _ = p.Kill() },
		"detached": func(t *testing.T, _ func(), p *sandbox.Process) {
			check(t, program.End(t.Context(), ns.PID(p.PID), "eth1"))
		},
		"interface goes": func(t *testing.T, _ func(), p *sandbox.Process) {
			detach(t, ns.PID(p.PID), spec())
		},
	}
	for _, name := range clients(t) {
		for way, end := range ways {
			t.Run(name+" "+way, func(t *testing.T) {
				lan(t)
				p := nstest.Process(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				running, _, file := stay(ctx, t, name, p.PID)
				check(t, program.End(ctx, ns.PID(p.PID), "eth2")) // is not meant
				text, err := os.ReadFile(file)
				if pid := strings.TrimSpace(string(text)); err != nil || !strings.Contains(strings.Join(in(t, p.PID), "\n"), pid+" ") {
					t.Errorf("pid file: %q, %v; in the guest: %q", text, err, in(t, p.PID))
				}
				c := program.Client{Name: name, Stay: true}
				if _, _, err := c.Attach(ctx, new(pipework.Attacher), ns.PID(p.PID), spec()); !errors.Is(err, fs.ErrExist) {
					t.Errorf("a second one: %v", err)
				}
				ended := make(chan error, 1)
				go func() { ended <- running.Wait(ctx) }()
				end(t, cancel, p)
				if err := testwait.Receive(t, "it ends", ended); err != nil {
					t.Error(err)
				}
				if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the pid file is still there: %v", err)
				}
				if way != "guest dies" {
					alone(t, p.PID)
					detach(t, ns.PID(p.PID), spec())
				}
			})
		}
	}
}

// stay has a program keep the lease of a guest.
func stay(ctx context.Context, t *testing.T, name string, pid int) (r *program.Running, addr netip.Addr, pidFile string) {
	t.Helper()
	c := program.Client{Name: name, Stay: true, Output: writer{t}}
	if name == "dhcpcd" {
		c.Options = []string{"--noarp"} // does not probe the address for five seconds
	}
	at, r, err := c.Attach(ctx, new(pipework.Attacher), ns.PID(pid), spec())
	if err != nil {
		t.Fatal(err)
	}
	if len(at.Addrs) != 1 {
		t.Fatalf("attachment %+v", at)
	}
	return r, at.Addrs[0].Addr(), "/run/" + name + ".pid:" + strconv.Itoa(pid) + ".pid"
}

// TestSpanningTree starts a program once the port forwards, which takes longer than the
// program tries.
func TestSpanningTree(t *testing.T) {
	dhcptest.Need(t, "udhcpc")
	lan(t)
	dhcptest.SpanningTree(t, 6)
	target, _ := nstest.Guest(t)
	s := pipework.Spec{Link: link.Bridge{Name: dhcptest.Bridge}}
	at, _, err := (&program.Client{Name: "udhcpc"}).Attach(t.Context(), new(pipework.Attacher), target, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(at.Addrs) != 1 {
		t.Errorf("%+v", at)
	}
	if _, err := pipework.Detach(t.Context(), target, s); err != nil {
		t.Error(err)
	}
}

// TestNamesakes has two guests called web: docker:web and podman:web.
func TestNamesakes(t *testing.T) {
	dhcptest.Need(t, "udhcpc")
	lan(t)
	var guests []web
	var running []*program.Running
	c := program.Client{Name: "udhcpc", Stay: true, Output: writer{t}}
	for range 2 {
		guest := web{ns.PID(nstest.Process(t).PID)}
		_, r, err := c.Attach(t.Context(), new(pipework.Attacher), guest, spec())
		if err != nil {
			t.Fatal(err)
		}
		guests, running = append(guests, guest), append(running, r)
	}
	if _, _, err := c.Attach(t.Context(), new(pipework.Attacher), guests[1], spec()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("once more: %v", err)
	}
	files := func() (names []string) {
		names, err := filepath.Glob("/run/udhcpc.web*.pid")
		check(t, err)
		return names
	}
	const classic = "/run/udhcpc.web.pid"
	if got := files(); len(got) != 2 || got[1] != classic {
		t.Errorf("pid files %v", got)
	}
	for _, i := range []int{1, 0} {
		check(t, program.End(t.Context(), guests[i], "eth1"))
		check(t, running[i].Wait(t.Context()))
		alone(t, int(guests[i].PID))
		detach(t, guests[i], spec())
		if got := files(); len(got) != i || i == 1 && got[0] != classic {
			t.Errorf("pid files after the end of %d: %v", i, got)
		}
	}
}

// TestRenews has all programs renew leases of half a minute.
func TestRenews(t *testing.T) {
	names := clients(t)
	hostFiles(t)
	dhcptest.Network(t)
	s := dhcptest.ISC(t, 30, 120, 130) // udhcpc asks after half of it
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []*program.Running
	var addrs []netip.Addr
	for _, name := range names {
		r, addr, _ := stay(ctx, t, name, nstest.Process(t).PID)
		all, addrs = append(all, r), append(addrs, addr)
	}
	for _, addr := range addrs {
		renewed(t, s, addr.String())
	}
	cancel()
	for _, r := range all {
		check(t, r.Wait(ctx))
	}
}

// TestMoves has dhclient take another address, which is announced.
func TestMoves(t *testing.T) {
	dhcptest.Need(t, "dhclient")
	hostFiles(t)
	dhcptest.Network(t)
	announced := dhcptest.Listen(t)
	times := []string{"--dhcp-option=58,3s", "--dhcp-option=59,60s"}
	s := dhcptest.Dnsmasq(t, times...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := nstest.Process(t)
	r, addr, _ := stay(ctx, t, "dhclient", p.PID)
	at, err := pipework.Check(ctx, ns.PID(p.PID), spec())
	check(t, err)
	announced(addr, at.MAC.String())
	s.Stop()
	dhcptest.Dnsmasq(t, append(times, "--dhcp-host="+at.MAC.String()+",10.77.0.59")...)
	ended := make(chan error, 1)
	go func() { ended <- r.Wait(ctx) }()
	testwait.Eventually(t, "another address", func() bool {
		at, err = pipework.Check(ctx, ns.PID(p.PID), spec())
		return err == nil && len(at.Addrs) > 0 && at.Addrs[0].Addr() != addr
	})
	announced(netip.MustParseAddr("10.77.0.59"), at.MAC.String())
	cancel()
	check(t, <-ended)
}

// renewed waits until the server has acknowledged the address a second time.
func renewed(t *testing.T, s *dhcptest.Server, addr string) {
	t.Helper()
	testwait.Eventually(t, addr+" is renewed", func() bool { return strings.Count(s.Log(), "DHCPACK on "+addr+" ") > 1 })
}

// TestFails leaves nothing behind where a program gets no lease.
func TestFails(t *testing.T) {
	clients(t)
	hostFiles(t)
	dhcptest.Network(t) // and nobody answers
	p := nstest.Process(t)
	g, err := ns.PID(p.PID).Open(t.Context())
	check(t, err)
	defer func() { _ = g.Close() }()
	for name, test := range map[string]struct {
		client program.Client
		cut    bool // while the program runs
		want   error
		text   string
	}{
		"no lease":        {program.Client{Name: "udhcpc", Options: []string{"-t", "1", "-T", "1"}}, false, nil, "udhcpc: exit status 1: udhcpc: no lease, failing"},
		"wrong option":    {program.Client{Name: "udhcpc", Stay: true, Options: []string{"-Z"}}, false, nil, "udhcpc: exit status 1: udhcpc: invalid option -- 'Z'"},
		"interrupted":     {program.Client{Name: "dhclient"}, true, context.Canceled, "dhclient: "},
		"while it stays":  {program.Client{Name: "udhcpc", Stay: true}, true, context.Canceled, "udhcpc: "},
		"no such program": {program.Client{Name: "pump"}, false, fs.ErrInvalid, "udhcpc, dhclient and dhcpcd are"},
	} {
		t.Run(name, func(t *testing.T) {
			world := nstest.Observe(t, g.Handle)
			ctx := t.Context()
			if test.cut {
				short, cancel := context.WithCancel(ctx)
				defer cancel()
				go func() {
					for len(in(t, p.PID)) == 0 && short.Err() == nil {
						time.Sleep(10 * time.Millisecond)
					}
					cancel()
				}()
				ctx = short
			}
			_, running, err := test.client.Attach(ctx, new(pipework.Attacher), ns.PID(p.PID), spec())
			if err == nil || running != nil || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\n") || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%v, want %q", err, test.text)
			}
			alone(t, p.PID)
			world.Unchanged(t)
		})
	}
}

// TestRecycled leaves alone a process that is not the program, though a pid file
// has its number.
func TestRecycled(t *testing.T) {
	p := nstest.Process(t)
	path := "/run/udhcpc.web.pid"
	check(t, os.WriteFile(path, []byte(strconv.Itoa(p.PID)+"\n"), 0o644))
	defer func() { _ = os.Remove(path) }()
	check(t, program.End(t.Context(), ns.PID(p.PID), "eth1"))
	g, err := ns.PID(p.PID).Open(t.Context())
	if err != nil {
		t.Fatal("the process was ended:", err)
	}
	_ = g.Close()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
