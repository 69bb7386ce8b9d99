//go:build linux

// Lan puts a container on the LAN of its host: the host's NIC goes under a bridge without
// losing the host, the container is plugged into the bridge, and another host on the LAN pings
// it. In the end all is as it was.
//
// It needs the command ip, but neither root nor Docker: it runs itself in user, network and mount
// namespaces of its own, of which one stands for this host, one for the LAN's switch, and one for the
// other host. It touches nothing of the machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
)

func main() {
	do := again
	if os.Getenv(inside) != "" {
		do = run
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "lan:", err)
		os.Exit(1)
	}
}

// The addresses on the LAN.
var (
	host      = netip.MustParsePrefix("192.168.1.2/24")
	other     = netip.MustParsePrefix("192.168.1.7/24")
	container = netip.MustParsePrefix("192.168.1.5/24")
)

func run() (err error) {
	if err := hideRun(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := newLAN(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	store, err := keep.Open("/run/pipework", link.Kinds()...)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()

	// eth0 goes under br0, a bridge of Linux, which has its address from then on. Where the other host is not reached by
	// that, it is undone at once.
	plan := uplink.Plan{NIC: "eth0", Bridge: "bridge:br0", Store: store, Probe: "arp:" + other.Addr().String()}
	moved, err := uplink.Move(ctx, plan)
	if err != nil {
		return err
	}
	fmt.Printf("%s is under %s, which has %s\n", moved.NIC, moved.Bridge, moved.Carried())

	// The container is on the same bridge, and so on the LAN.
	web := ns.PID(l.web.Pid)
	at, err := pipework.Attach(ctx, web, pipework.Spec{Link: link.Bridge{Name: "br0"}, Addrs: []netip.Prefix{container}})
	if err != nil {
		return err
	}
	fmt.Printf("the container has %s on %s\n", at.Addrs[0], at.Link)
	if err := l.reached(ctx, container.Addr(), host.Addr()); err != nil {
		return err
	}

	// The way back.
	if _, err := pipework.Detach(ctx, web, pipework.Spec{}); err != nil {
		return err
	}
	moved, err = uplink.Undo(ctx, plan)
	if err != nil {
		return err
	}
	fmt.Printf("%s is not under %s any more, and has %s\n", moved.NIC, moved.Bridge, moved.Carried())
	return l.reached(ctx, host.Addr())
}

// A lan is a switch, and what is at it beside this host.
type lan struct {
	all    []*os.Process
	web    *os.Process // the container, which is at nothing yet
	remote *ns.Guest   // the other host
}

// newLAN makes the LAN:
//
//	this host: eth0 --- switch --- eth0: the other host
func newLAN(ctx context.Context) (l *lan, err error) {
	l = new(lan)
	defer func() {
		if err != nil {
			l.end()
		}
	}()
	for range 3 {
		p, err := startGuest()
		if err != nil {
			return l, err
		}
		l.all = append(l.all, p)
	}
	l.web = l.all[2]
	lanSwitch, err := ns.PID(l.all[0].Pid).Open(ctx)
	if err != nil {
		return l, err
	}
	defer func() { _ = lanSwitch.Close() }()
	if l.remote, err = ns.PID(l.all[1].Pid).Open(ctx); err != nil {
		return l, err
	}
	here, err := ns.Current()
	if err != nil {
		return l, err
	}
	defer func() { _ = here.Close() }()
	return l, errors.Join(
		ip(ctx, here, fmt.Sprintf("link add eth0 type veth peer name port1 netns %d", l.all[0].Pid)),
		ip(ctx, l.remote.Handle, fmt.Sprintf("link add eth0 type veth peer name port2 netns %d", l.all[0].Pid)),
		ip(ctx, lanSwitch.Handle, "link add lan0 type bridge", "link set lan0 up", "link set port1 master lan0 up", "link set port2 master lan0 up"),
		ip(ctx, here, "link set eth0 up", "addr add "+host.String()+" brd + dev eth0", "route add default via "+other.Addr().String()),
		ip(ctx, l.remote.Handle, "link set eth0 up", "addr add "+other.String()+" brd + dev eth0"))
}

// ip runs commands of ip(8) in a namespace.
func ip(ctx context.Context, in *ns.Handle, lines ...string) error {
	return in.Do(ctx, func() error {
		cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ip: %w: %s", err, out)
		}
		return nil
	})
}

// reached pings from the other host.
func (l *lan) reached(ctx context.Context, all ...netip.Addr) error {
	for _, addr := range all {
		if _, err := ping(ctx, l.remote.Handle, addr); err != nil {
			return err
		}
		fmt.Printf("the other host, %s, reaches %s\n", other.Addr(), addr)
	}
	return nil
}

func (l *lan) end() {
	if l.remote != nil {
		_ = l.remote.Close()
	}
	for _, p := range l.all {
		_ = p.Kill()
		_, _ = p.Wait()
	}
}
