package main

import (
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/ovs"
)

// target is the guest that a word of the command line means.
func target(word string) pipework.Target { return find.Guest(word) }

// awaited is target, waited for as long as --wait-guest says.
func (c *command) awaited(word string) pipework.Target {
	if c.flags.WaitGuest == 0 {
		return target(word)
	}
	return find.Wait{Target: target(word), For: c.flags.WaitGuest}
}

// ovsBridge is the backend of a mark that package link cannot know; nil for
// others.
func ovsBridge(mark string) link.Backend {
	if name, ok := strings.CutPrefix(mark, "ovs:"); ok {
		return ovs.Bridge{Name: name}
	}
	return nil
}
