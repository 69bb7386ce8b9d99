//go:build linux

// Docker plugs a running container into a bridge and tells what it made:
//
//	go run ./examples/docker web br1 192.168.1.2/24
//
// It needs root and a Docker engine. Run it again and nothing changes; pipework
// detach web takes the interface away.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns/docker"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: docker <container> <bridge> <address>/<prefix>")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "docker:", err)
		os.Exit(1)
	}
}

func run(container, bridge, address string) error {
	addr, err := netip.ParsePrefix(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	at, err := pipework.Attach(ctx, docker.Container(container), pipework.Spec{
		Link:  link.Bridge{Name: bridge},
		Addrs: []netip.Prefix{addr},
	})
	if err != nil {
		return err
	}
	for _, w := range at.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	fmt.Printf("%s has %s: %s, MAC %s, on %s by %s\n", at.Guest.Name, at.Name, addr, at.MAC, at.Link, at.HostName)
	return nil
}
