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

// openStore opens the directory of records. Where it is the default one, and this
// user may not write there, no records are kept, and unrecorded says so.
func (c *command) openStore() (unrecorded []string, err error) {
	dir := cmp.Or(c.flags.State, os.Getenv("PIPEWORK_STATE"))
	c.Store, err = keep.Open(cmp.Or(dir, keep.DefaultDir))
	if dir != "" || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return nil, err
	}
	return []string{fmt.Sprintf("no record is kept, by which it could come back after a restart: %v (--state-dir names another directory)", err)}, nil
}
