// Command dhcp plugs one guest into a bridge with an address from the DHCP server
// there, keeps the lease, prints each event as a line of JSON, and gives the lease
// back when it is interrupted or the guest ends:
//
//	dhcp br1 web      # a Docker container
//	dhcp br1 1234     # a process
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: dhcp <bridge> <container or PID>")
		os.Exit(2)
	}
	if err := run(ctx, os.Stdout, os.Args[1], target(os.Args[2])); err != nil {
		fmt.Fprintln(os.Stderr, "dhcp:", err)
		os.Exit(1)
	}
}

func target(word string) pipework.Target {
	if pid, err := strconv.Atoi(word); err == nil {
		return ns.PID(pid)
	}
	return docker.Container(word)
}

func run(ctx context.Context, out io.Writer, bridge string, guest pipework.Target) (err error) {
	spec := pipework.Spec{Link: link.Bridge{Name: bridge}, DHCP: &dhcp.Config{}}
	a, err := pipework.Attach(ctx, guest, spec)
	if err != nil {
		return err
	}
	defer func() {
		_, ended := pipework.Detach(context.WithoutCancel(ctx), guest, spec)
		err = errors.Join(err, ended)
	}()
	events := json.NewEncoder(out)
	if err := events.Encode(a); err != nil {
		return err
	}
	kept := new(pipework.Attacher).Kept(guest, spec, a)
	for i := range kept {
		kept[i].Event = func(ev dhcp.Event) { _ = events.Encode(ev) }
	}
	err = dhcp.Keep(ctx, kept...)
	if errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrNotExist) {
		return nil // interrupted, or the guest has ended
	}
	return err
}
