//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
)

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name != "pipework" && name != "until" { // as which a script runs this program
		sandbox.GuestMain()
		nstest.Split(m, scriptsByTest())
		if os.Getenv("PIPEWORK_CLI") == "root" {
			nstest.EnterRoot("cli")
		} else {
			nstest.Enter("cli") // where other sandboxes' guests are not to be seen, for list and gc
		}
		if err := flag.Set("test.parallel", "1"); err != nil { // the scripts share one host
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"pipework": main, "until": until})
}

// scriptsByTest names the scripts that need nothing of one another.
func scriptsByTest() map[string][]string {
	all := make(map[string][]string)
	for test, dir := range map[string]string{"TestScripts": "testdata", "TestClassic": "testdata/classic/plain", "TestDHCPScripts": "testdata/dhcp"} {
		files, _ := filepath.Glob(filepath.Join(dir, "*.txtar"))
		for _, file := range files {
			all[test] = append(all[test], strings.TrimSuffix(filepath.Base(file), ".txtar"))
		}
	}
	return all
}

// TestScripts runs the command lines of testdata in the sandbox, against guests
// that the script command "guest" makes there.
func TestScripts(t *testing.T) { testscript.Run(t, scripts("testdata")) }

// scripts are those of one folder; their guest $CONTAINERID is netns:web.
func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"guest":  guest,
			"bridge": bridge,
			"show":   show,
			"ping":   ping,
			"await":  await,
			"says":   says,
			"nic":    nic,
			"spoil":  spoil,
			"unplug": unplug,
			"vanish": vanish,
			"typed":  typed,
			"engine": engine,
			"hangs":  hangs,
			"disk":   disk,
			"json":   fitsSchema,
		},
		Setup:     setUp,
		Condition: func(lane string) (bool, error) { return os.Getenv("PIPEWORK_LANE") == lane, nil },
	}
}

// setUp calls the guest netns:web $CONTAINERID, has the command keep its records in the script's directory, and keeps a
// program under the race detector from waiting a second before it ends, its default.
func setUp(e *testscript.Env) error {
	e.Setenv("GORACE", "atexit_sleep_ms=0")
	e.Setenv("CONTAINERID", "netns:web")
	e.Setenv("PIPEWORK_STATE", filepath.Join(e.WorkDir, "state"))
	before, err := net.Interfaces()
	e.Defer(func() { removeOthers(before) })
	return err
}

// removeOthers removes what a script that failed has left on the host for the next.
func removeOthers(before []net.Interface) {
	now, _ := net.Interfaces()
	for _, l := range now {
		if !slices.ContainsFunc(before, func(b net.Interface) bool { return b.Index == l.Index }) {
			_ = netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.Index}})
		}
	}
}

// TestOVS runs the command lines of testdata/ovs against a private Open vSwitch,
// which the command finds as ovs-vsctl does: its folder is in OVS_RUNDIR. In the
// lane uml it has the kernel's datapath; else it needs the machine's root, which
// PIPEWORK_CLI=root lets it be (see the Makefile).
func TestOVS(t *testing.T) {
	if os.Getenv("PIPEWORK_LANE") == "" && !sandbox.IsRoot() {
		t.Skip("needs the machine's root: PIPEWORK_CLI=root go test -run TestOVS ./cmd/pipework")
	}
	db := ovstest.Start(t)
	datapath, setting := ovstest.Userspace, "netdev"
	if os.Getenv("PIPEWORK_LANE") == "uml" {
		datapath, setting = ovstest.Kernel, "system"
	}
	db.Switch(t, datapath, nil)
	db.Vsctl(t, "add-br", "ovs0", "--", "set", "bridge", "ovs0", "datapath_type="+setting)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/ovs",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			dir := strings.TrimSuffix(strings.TrimPrefix(db.Endpoint, "unix:"), "/db.sock")
			e.Setenv("OVS_RUNDIR", dir)
			e.Setenv("DATAPATH", setting)
			return setUp(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"guest": guest, "lose": lose, "ping": ping, "unplug": unplug, "bridge": bridge,
			"hang":   func(*testscript.TestScript, bool, []string) { db.Server.Stop(t) },
			"go-on":  func(*testscript.TestScript, bool, []string) { db.Server.Continue(t) },
			"within": within, "json": fitsSchema,
		},
	})
}

// lose takes the name of a guest away that "guest" made, and it with it, and waits
// until the host's end of its interface is gone.
func lose(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(unix.Unmount("/run/netns/"+args[0], unix.MNT_DETACH))
	ts.Check(os.Remove("/run/netns/" + args[0]))
	eventually(ts, args[1]+" is gone", func() bool {
		_, err := net.InterfaceByName(args[1])
		return err != nil
	})
}

// within runs a program, which has to end after so many seconds at most; its status has to
// be 0, or with ! another one.
func within(ts *testscript.TestScript, neg bool, args []string) {
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	start := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	took := time.Since(start)
	ts.Logf("[%v]\n[stdout]\n%s[stderr]\n%s", took.Round(time.Millisecond), ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	if (err != nil) != neg {
		ts.Fatalf("%v", err)
	}
	if took > limit {
		ts.Fatalf("took %v", took)
	}
}

// eventually is [testwait.Eventually] for a script.
func eventually(ts *testscript.TestScript, what string, holds func() bool) {
	testwait.Eventually(failing{ts: ts}, what, holds)
}

// failing is a test that fails a script.
type failing struct {
	testing.TB
	ts *testscript.TestScript
}

func (f failing) Helper()                           {}
func (f failing) Fatalf(format string, args ...any) { f.ts.Fatalf(format, args...) }

// ping sends from a guest to an address, until it answers; with ! it must not.
func ping(ts *testscript.TestScript, neg bool, args []string) {
	g, err := sandbox.Open(args[0])
	ts.Check(err)
	defer func() { _ = g.Close() }()
	wait := testwait.Patience
	if neg {
		wait = 500 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, err = sandbox.Ping(ctx, g.Handle, netip.MustParseAddr(args[1]))
	if neg && err == nil {
		ts.Fatalf("%s answers %s, and must not", args[1], args[0])
	} else if !neg {
		ts.Check(err)
	}
}

// guest makes a namespace for each name, for the length of the script.
func guest(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		remove, err := sandbox.Namespace(name)
		ts.Check(err)
		ts.Defer(func() {
			if _, err := os.Stat("/run/netns/" + name); err == nil {
				ts.Check(remove())
			}
		})
	}
}

// vanish removes namespaces before the script ends, and waits until the kernel has
// removed what stood in them.
func vanish(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		path, ends := "/run/netns/"+name, endsOf(ts, name)
		ts.Check(errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path)))
		for _, end := range ends {
			eventually(ts, end+" is gone", func() bool {
				_, err := net.InterfaceByName(end)
				return err != nil
			})
		}
	}
}

// endsOf are the host's interfaces whose other end is in the namespace.
func endsOf(ts *testscript.TestScript, name string) (ends []string) {
	g, err := sandbox.Open(name)
	ts.Check(err)
	defer func() { _ = g.Close() }()
	id, err := netlink.GetNetNsIdByFd(int(g.NetNS()))
	ts.Check(err)
	links, err := nstest.Whole(netlink.LinkList)
	ts.Check(err)
	for _, l := range links {
		if l.Type() == "veth" && l.Attrs().NetNsID == id {
			ends = append(ends, l.Attrs().Name)
		}
	}
	return ends
}

// spoil sets an interface of a guest down and takes its IPv4 addresses away.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	inside(ts, args, func(h *netlink.Handle, l netlink.Link) error {
		addrs, err := nstest.Whole(func() ([]netlink.Addr, error) { return h.AddrList(l, netlink.FAMILY_V4) })
		for _, a := range addrs {
			err = errors.Join(err, h.AddrDel(l, &a))
		}
		return errors.Join(err, h.LinkSetDown(l))
	})
}

// unplug removes an interface of a guest behind pipework's back.
func unplug(ts *testscript.TestScript, _ bool, args []string) {
	inside(ts, args, func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
}

// inside calls f with an interface of a guest: its name and the guest's are args.
func inside(ts *testscript.TestScript, args []string, f func(*netlink.Handle, netlink.Link) error) {
	g, err := sandbox.Open(args[0])
	ts.Check(err)
	defer func() { _ = g.Close() }()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	ts.Check(err)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(args[1])
	ts.Check(err)
	ts.Check(f(h, l))
}

// bridge makes a bridge that pipework did not make.
func bridge(ts *testscript.TestScript, _ bool, names []string) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	ts.Check(err)
	defer func() { _ = h.Close() }()
	for _, name := range names {
		a := netlink.NewLinkAttrs()
		a.Name = name
		br := &netlink.Bridge{LinkAttrs: a}
		ts.Check(h.LinkAdd(br))
		ts.Check(h.LinkSetUp(br))
		ts.Defer(func() {
			h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
			ts.Check(err)
			defer func() { _ = h.Close() }()
			ts.Check(h.LinkDel(br))
		})
	}
}

// nic makes what stands in for a network interface of the host: one end of a veth
// pair, up, with this name and MAC.
func nic(ts *testscript.TestScript, _ bool, args []string) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	ts.Check(err)
	defer func() { _ = h.Close() }()
	a := netlink.NewLinkAttrs()
	a.Name = args[0]
	a.HardwareAddr, err = net.ParseMAC(args[1])
	ts.Check(err)
	v := &netlink.Veth{LinkAttrs: a, PeerName: args[0] + "-wire"}
	ts.Check(h.LinkAdd(v))
	wire, err := h.LinkByName(v.PeerName)
	ts.Check(err)
	ts.Check(h.LinkSetUp(wire))
	ts.Check(h.LinkSetUp(v))
	ts.Defer(func() {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		ts.Check(err)
		defer func() { _ = h.Close() }()
		ts.Check(h.LinkDel(wire))
	})
}

// await waits until the guest has the interface.
func await(ts *testscript.TestScript, _ bool, args []string) {
	g, err := sandbox.Open(args[0])
	ts.Check(err)
	defer func() { _ = g.Close() }()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	ts.Check(err)
	defer func() { _ = h.Close() }()
	eventually(ts, args[0]+" has "+args[1], func() bool {
		_, err := h.LinkByName(args[1])
		return err == nil
	})
}

// atRest lists the links, once the kernel has said of each bridge with a port that runs that
// it does, too: it says so behind everybody's back.
func atRest(h *netlink.Handle) (links []netlink.Link, err error) {
	for end := time.Now().Add(testwait.Patience); ; time.Sleep(5 * time.Millisecond) {
		if links, err = nstest.Whole(h.LinkList); err != nil || time.Now().After(end) {
			return links, err
		}
		runs := map[int]bool{}
		for _, l := range links {
			if a := l.Attrs(); a.RawFlags&unix.IFF_RUNNING != 0 {
				runs[a.MasterIndex] = true
			}
		}
		if !slices.ContainsFunc(links, func(l netlink.Link) bool {
			a := l.Attrs()
			return l.Type() == "bridge" && a.Flags&net.FlagUp != 0 && runs[a.Index] && a.RawFlags&unix.IFF_RUNNING == 0
		}) {
			return links, nil
		}
	}
}

// show prints links, addresses and routes of the guest, or of the host, much as
// ip(8) would; what the kernel makes by itself is left out.
func show(ts *testscript.TestScript, _ bool, args []string) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if args[0] != "host" {
		g, err2 := sandbox.Open(args[0])
		ts.Check(err2)
		defer func() { _ = g.Close() }()
		h, err = netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	}
	ts.Check(err)
	defer func() { _ = h.Close() }()
	_, _ = fmt.Fprintln(ts.Stdout(), args[0]+":")
	links, err := atRest(h)
	ts.Check(err)
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	for _, l := range links {
		a := l.Attrs()
		if a.Name == "lo" {
			continue
		}
		_, _ = fmt.Fprintf(ts.Stdout(), "%s %s mtu %d %s", a.Name, l.Type(), a.MTU, a.Flags)
		if a.MasterIndex != 0 {
			_, _ = fmt.Fprintf(ts.Stdout(), " master %s", names[a.MasterIndex])
		}
		_, _ = fmt.Fprintln(ts.Stdout())
		addrs, err := nstest.Whole(func() ([]netlink.Addr, error) { return h.AddrList(l, netlink.FAMILY_ALL) })
		ts.Check(err)
		for _, addr := range addrs {
			if !addr.IP.IsLinkLocalUnicast() {
				_, _ = fmt.Fprintf(ts.Stdout(), "  %s brd %v\n", addr.IPNet, addr.Broadcast)
			}
		}
	}
	routes, err := nstest.Whole(func() ([]netlink.Route, error) { return h.RouteList(nil, netlink.FAMILY_ALL) })
	ts.Check(err)
	for _, r := range routes {
		if r.Protocol == rtnl.Protocol || r.Protocol == unix.RTPROT_DHCP || r.Protocol == unix.RTPROT_BOOT {
			dst := strings.NewReplacer("0.0.0.0/0", "default", "::/0", "default").Replace(r.Dst.String())
			_, _ = fmt.Fprintf(ts.Stdout(), "%s via %v dev %s metric %d\n", dst, r.Gw, names[r.LinkIndex], r.Priority)
		}
	}
}
