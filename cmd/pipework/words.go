package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns/find"
)

// guest is the word with the kind of guest that it means: records are kept by it.
// A guest that is gone has the kind that it is recorded with.
func (c *command) guest(ctx context.Context, word string) (string, error) {
	full, err := find.Word(ctx, word, c.flags.WaitGuest)
	if errors.Is(err, fs.ErrNotExist) {
		if recorded := c.Store.Guest(word); recorded != "" {
			return recorded, nil
		}
	}
	return full, err
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
