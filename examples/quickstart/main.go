//go:build linux

// Quickstart plugs two throwaway guests into a bridge, pings from one to the
// other, draws what was made, and cleans up. It needs neither root nor Docker:
// it runs itself in user, network and mount namespaces of its own, and touches
// nothing of the machine.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

func main() {
	do := again
	if os.Getenv(inside) != "" {
		do = run
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := hideRun(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	// Two guests: processes in network namespaces of their own, as containers
	// are.
	var guests [2]*os.Process
	for i := range guests {
		p, err := startGuest()
		if err != nil {
			return err
		}
		defer func() { _ = p.Kill() }()
		guests[i] = p
	}

	// Plug both into the bridge br1, which is made because it is not there.
	var made [2]*pipework.Attachment
	start := time.Now()
	for i, g := range guests {
		spec := pipework.Spec{
			Link:  link.Bridge{Name: "br1"},
			Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(i + 1)}), 24)},
		}
		at, err := pipework.Attach(ctx, ns.PID(g.Pid), spec)
		if err != nil {
			return err
		}
		made[i] = at
	}
	took := time.Since(start)

	rtt, err := pingFrom(ctx, guests[0].Pid, made[1].Addrs[0].Addr())
	if err != nil {
		return err
	}
	draw(made, took, rtt)

	// Unplug them: the bridge goes with its last port.
	for _, g := range guests {
		if _, err := pipework.Detach(ctx, ns.PID(g.Pid), pipework.Spec{}); err != nil {
			return err
		}
	}
	left, err := pipework.List(ctx)
	if err != nil || len(left) > 0 {
		return fmt.Errorf("left over: %v, %w", left, err)
	}
	fmt.Println("unplugged: nothing is left, and the bridge is gone too")
	return nil
}

func pingFrom(ctx context.Context, from int, to netip.Addr) (time.Duration, error) {
	g, err := ns.PID(from).Open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = g.Close() }()
	return ping(ctx, g.Handle, to)
}

func draw(at [2]*pipework.Attachment, took, rtt time.Duration) {
	const row = "  %-26s  %-26s\n"
	fmt.Printf(row, "guest "+at[0].Guest.Name, "guest "+at[1].Guest.Name)
	fmt.Printf(row, at[0].Name+" "+at[0].Addrs[0].String(), at[1].Name+" "+at[1].Addrs[0].String())
	fmt.Printf(row, at[0].MAC, at[1].MAC)
	fmt.Printf(row, "   │", "   │")
	fmt.Printf(row, at[0].HostName, at[1].HostName)
	fmt.Println("     └────────── bridge br1 ───────┘")
	fmt.Printf("two guests plugged in within %v; ping from one to the other: %v\n", took.Round(10*time.Microsecond), rtt.Round(time.Microsecond))
}
