package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-pipework/pipework/keep"
)

// recordsDir is dir, or where that is "" the directory that the variable PIPEWORK_STATE
// names, or else the default.
func recordsDir(dir string) string {
	return cmp.Or(dir, os.Getenv("PIPEWORK_STATE"), keep.DefaultDir)
}

// openRecords opens the records in recordsDir. Where that is the default, and this user
// may not write there, it returns no Store, and a warning: they can be done without.
func openRecords(dir string) (s *keep.Store, warnings []string, err error) {
	dir = recordsDir(dir)
	s, err = keep.Open(dir, kinds()...)
	if dir == keep.DefaultDir && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return nil, []string{fmt.Sprintf("nothing remembers this for after a restart: %v (--state-dir names another directory)", err)}, nil
	}
	return s, nil, err
}
