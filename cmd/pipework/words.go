package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
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

// fullWord is the word with what kind of guest it means: records are kept by it.
func fullWord(word string) string {
	if word == "" || strings.ContainsAny(word, "/:") {
		return word
	}
	return "docker:" + word
}

// openStore opens the directory of records.
func (c *command) openStore() (err error) {
	c.Store, err = keep.Open(cmp.Or(c.stateDir(), keep.DefaultDir))
	return err
}

// stateDir is the directory that was asked for; "" is none.
func (c *command) stateDir() string { return cmp.Or(c.flags.State, os.Getenv("PIPEWORK_STATE")) }

// tryStore is openStore for those who can do without: where the directory is the
// default one, and this user may not write there, no records are kept.
func (c *command) tryStore() (warnings []string, err error) {
	err = c.openStore()
	if c.stateDir() != "" || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return nil, err
	}
	return []string{fmt.Sprintf("nothing remembers this for after a restart: %v (--state-dir names another directory)", err)}, nil
}
