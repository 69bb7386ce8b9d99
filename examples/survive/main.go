//go:build linux

// Survive plugs a running container into a bridge, restarts it three times under a
// running ping, and shows how soon its interface is back by itself, the same:
//
//	go run ./examples/survive web br1 10.9.0.1/24
//
// It needs root, a Docker engine and the docker command. The daemon of `pipework
// watch` is in it as a library; a throwaway guest on the same bridge pings. In the
// end the container is as it was, but for its restarts.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: survive <container> <bridge> <address>/<prefix>")
		os.Exit(2)
	}
	if err := run(ctx, os.Stdout, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "survive:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, name, bridge, address string) (err error) {
	addr, err := netip.ParsePrefix(address)
	if err != nil {
		return err
	}
	container, err := docker.Engine{}.Describe(ctx, name)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "survive")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := keep.Open(dir, link.Kinds()...)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()

	// The guest that pings.
	p, err := neighbour(ctx, bridge, addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()

	// What is declared is plugged in and recorded; the daemon keeps it so.
	plugger := keep.Plugger{Store: store, Target: func(g ns.Ref) pipework.Target { return docker.Container(g.Name) }}
	web := ns.Ref{Kind: ns.Docker, Name: container.Name, ID: container.ID}
	_, _, err = plugger.Attach(ctx, web, keep.Declared{Spec: pipework.Spec{Link: link.Bridge{Name: bridge}, Addrs: []netip.Prefix{addr}}})
	if err != nil {
		return err
	}
	w := &watch.Watcher{Plugger: plugger, Sources: []ns.Source{docker.Engine{}}, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(watching) })
	defer func() {
		stop()
		wg.Wait()
		_, ended := pipework.Detach(context.WithoutCancel(ctx), docker.Container(name), pipework.Spec{Link: link.Bridge{Name: bridge}})
		err = errors.Join(err, ended)
	}()
	return demonstrate(ctx, out, name, p)
}

// demonstrate restarts the container three times, and tells how soon it answers.
func demonstrate(ctx context.Context, out io.Writer, name string, p *peer) error {
	if _, err := p.answered(time.Now(), 10*time.Second); err != nil {
		return err
	}
	for i := range 3 {
		if _, err := dockerCommand(ctx, "restart", "-t", "0", name); err != nil {
			return err
		}
		text, err := dockerCommand(ctx, "inspect", "-f", "{{.State.StartedAt}}", name)
		if err != nil {
			return err
		}
		started, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return err
		}
		at, err := p.answered(started, 10*time.Second)
		if err != nil {
			return err
		}
		is, err := pipework.Check(ctx, docker.Container(name), pipework.Spec{})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "restart %d: %s answers %v after the start; MAC %s\n", i+1, p.to, at.Sub(started).Round(time.Millisecond), is.MAC)
	}
	return nil
}

// dockerCommand runs the docker command, and returns the one line that it prints.
func dockerCommand(ctx context.Context, args ...string) (string, error) {
	text, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	line := strings.TrimSpace(string(text))
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, line)
	}
	return line, nil
}

// A peer is a throwaway guest on the bridge that pings.
type peer struct {
	*pinger
	process *os.Process
	spec    pipework.Spec
}

// neighbour plugs a guest into the bridge, with the address beside addr, and has it
// ping that.
func neighbour(ctx context.Context, bridge string, addr netip.Prefix) (*peer, error) {
	beside := addr.Addr().Next()
	if !addr.Contains(beside) {
		beside = addr.Addr().Prev()
	}
	p := &peer{spec: pipework.Spec{Link: link.Bridge{Name: bridge}, Addrs: []netip.Prefix{netip.PrefixFrom(beside, addr.Bits())}}}
	sleep := exec.Command("sleep", "600") // in a network namespace of its own, as a container is
	sleep.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := sleep.Start(); err != nil {
		return nil, err
	}
	p.process = sleep.Process
	guest, err := ns.PID(p.process.Pid).Open(ctx)
	if err == nil {
		defer func() { _ = guest.Close() }()
		_, err = pipework.Attach(ctx, guest.Again(), p.spec)
	}
	if err == nil {
		p.pinger, err = newPinger(ctx, guest.Handle, addr.Addr())
	}
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

func (p *peer) end() error {
	p.close()
	_, err := pipework.Detach(context.Background(), ns.PID(p.process.Pid), p.spec)
	return errors.Join(err, p.kill())
}

func (p *peer) kill() error {
	err := p.process.Kill()
	_, ended := p.process.Wait()
	return errors.Join(err, ended)
}
