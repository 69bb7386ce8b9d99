package main

import (
	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns/find"
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
