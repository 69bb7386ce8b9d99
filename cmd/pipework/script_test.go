//go:build linux

package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
)

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name != "pipework" { // as which a script runs this program
		nstest.Enter("cli")
		if err := flag.Set("test.parallel", "1"); err != nil { // the scripts share one host
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"pipework": main})
}

// TestScripts runs the command lines of testdata in the sandbox, against guests
// that the script command "guest" makes there.
func TestScripts(t *testing.T) { testscript.Run(t, scripts("testdata")) }

// scripts are those of one folder; their guest $CONTAINERID is netns:web.
func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CONTAINERID", "netns:web")
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a second for each call otherwise
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"guest":  guest,
			"bridge": bridge,
			"show":   show,
			"await":  await,
			"nic":    nic,
			"typed":  typed,
		},
		Condition: func(lane string) (bool, error) { return os.Getenv("PIPEWORK_LANE") == lane, nil },
	}
}

// guest makes a namespace for each name, for the length of the script.
func guest(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		remove, err := sandbox.Namespace(name)
		ts.Check(err)
		ts.Defer(func() { ts.Check(remove()) })
	}
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
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err = h.LinkByName(args[1]); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s has no %s", args[0], args[1])
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
	links, err := h.LinkList()
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
		addrs, err := h.AddrList(l, netlink.FAMILY_ALL)
		ts.Check(err)
		for _, addr := range addrs {
			if !addr.IP.IsLinkLocalUnicast() {
				_, _ = fmt.Fprintf(ts.Stdout(), "  %s brd %v\n", addr.IPNet, addr.Broadcast)
			}
		}
	}
	routes, err := h.RouteList(nil, netlink.FAMILY_ALL)
	ts.Check(err)
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_BOOT {
			dst := strings.NewReplacer("0.0.0.0/0", "default", "::/0", "default").Replace(r.Dst.String())
			_, _ = fmt.Fprintf(ts.Stdout(), "%s via %v dev %s metric %d\n", dst, r.Gw, names[r.LinkIndex], r.Priority)
		}
	}
}
