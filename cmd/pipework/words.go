package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

// target is the guest that a word of the command line means: pid:1234,
// netns:blue, a path, and otherwise a container of Docker's.
func target(word string) pipework.Target {
	kind, rest, _ := strings.Cut(word, ":")
	switch kind {
	case "pid":
		if n, err := strconv.Atoi(rest); err == nil {
			return ns.PID(n)
		}
	case "netns":
		return ns.Named(rest)
	case "docker":
		return docker.Container(rest)
	}
	if strings.HasPrefix(word, "/") {
		return ns.Path(word)
	}
	return docker.Container(word)
}

// spec is what a classic command line asks for.
func spec(l config.Line, f config.Flags) (pipework.Spec, error) {
	s := pipework.Spec{Name: l.Name, MAC: l.MAC, Addrs: l.Addrs, Gateways: l.Gateways}
	switch {
	case l.DHCP != "":
		return s, fmt.Errorf("%s: DHCP is not supported yet: give an address, or 0/0 and run a client in the guest", l.DHCP)
	case l.DirectPhys, strings.HasPrefix(l.Interface, "mac:"):
		return s, errors.New("physical interfaces are not supported yet: name a bridge")
	case l.VLAN != "":
		return s, errors.New("VLAN configuration currently unsupported for Linux bridge: leave @" + l.VLAN + " away")
	}
	s.Link = link.Bridge{Name: l.Interface, HostName: l.HostName, Forward: forward(f)}
	return s, nil
}

func forward(f config.Flags) link.Forward {
	switch f.Forward {
	case "on":
		return link.ForwardOn
	case "off":
		return link.ForwardOff
	}
	return link.ForwardOwn
}
