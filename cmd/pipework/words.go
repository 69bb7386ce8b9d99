package main

import (
	"strconv"
	"strings"

	"github.com/go-pipework/pipework"
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
