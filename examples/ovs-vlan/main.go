//go:build linux

// Ovs-vlan plugs four throwaway guests into the Open vSwitch bridge ovs0, in one
// subnet but two VLANs, and shows who reaches whom. It needs root and a running
// Open vSwitch; ovs0 is made, and everything is removed again.
//
//	go run ./examples/ovs-vlan            with the kernel's datapath
//	go run ./examples/ovs-vlan netdev     where the kernel has none
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout, strings.Join(os.Args[1:], " ")); err != nil {
		fmt.Fprintln(os.Stderr, "ovs-vlan:", err)
		os.Exit(1)
	}
}

// A guest is a process in a network namespace of its own, as a container is.
type guest struct {
	name string
	vlan int
	addr netip.Prefix
	*os.Process
}

func (g guest) target() pipework.Target { return ns.PID(g.Pid) }

// start starts the guest's process.
func (g *guest) start(ctx context.Context) error {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		return err
	}
	g.Process = cmd.Process
	at, err := g.target().Open(ctx)
	if err != nil {
		return errors.Join(err, g.Kill())
	}
	defer func() { _ = at.Close() }()
	return at.Do(ctx, func() error { // it is to reach itself, too
		h, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer func() { _ = h.Close() }()
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
}

func run(ctx context.Context, out io.Writer, datapath string) error {
	guests := []guest{
		{name: "c1", vlan: 100, addr: netip.MustParsePrefix("192.168.0.1/24")},
		{name: "c2", vlan: 100, addr: netip.MustParsePrefix("192.168.0.2/24")},
		{name: "c3", vlan: 200, addr: netip.MustParsePrefix("192.168.0.3/24")},
		{name: "c4", vlan: 200, addr: netip.MustParsePrefix("192.168.0.4/24")},
	}
	// One connection to Open vSwitch for all of them.
	client := new(ovs.Client)
	defer func() { _ = client.Close() }()

	for i := range guests {
		g := &guests[i]
		if err := g.start(ctx); err != nil {
			return err
		}
		defer func() { _ = g.Kill() }()
		spec := pipework.Spec{
			Link:  ovs.Bridge{Name: "ovs0", Tag: g.vlan, Datapath: datapath, Client: client},
			Addrs: []netip.Prefix{g.addr},
		}
		if _, err := pipework.Attach(ctx, g.target(), spec); err != nil {
			return err
		}
		// The last one to go takes ovs0 along.
		defer func() { _, _ = pipework.Detach(context.WithoutCancel(ctx), g.target(), spec) }()
	}
	draw(out, guests)
	return matrix(ctx, out, guests)
}

// draw shows what was made.
func draw(out io.Writer, guests []guest) {
	lines := []string{"  +---------------------- ovs0 ---------------------+", "", "", "", ""}
	for _, g := range guests {
		for i, text := range []string{"      |", fmt.Sprint("  VLAN ", g.vlan), "     " + g.name, g.addr.Addr().String()} {
			lines[i+1] += fmt.Sprintf("%-15s", text)
		}
	}
	for _, line := range lines {
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(out)
}

// matrix lets everybody ping everybody.
func matrix(ctx context.Context, out io.Writer, guests []guest) error {
	fmt.Fprint(out, "reaches   ")
	for _, g := range guests {
		fmt.Fprintf(out, "%6s", g.name)
	}
	for _, from := range guests {
		at, err := from.target().Open(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n  %-8s", from.name)
		for _, to := range guests {
			fmt.Fprintf(out, "%6s", reaches(ctx, at.Handle, to.addr.Addr()))
		}
		if err := at.Close(); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	return nil
}

func reaches(ctx context.Context, from *ns.Handle, to netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if _, err := ping(ctx, from, to); err != nil {
		return "-"
	}
	return "yes"
}
