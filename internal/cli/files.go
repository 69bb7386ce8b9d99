package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
)

// RecordsDir is dir, or where that is "" the directory that the variable PIPEWORK_STATE
// names, or else the default.
func RecordsDir(dir string) string {
	return cmp.Or(dir, os.Getenv("PIPEWORK_STATE"), keep.DefaultDir)
}

// OpenRecords opens the records in RecordsDir. Where that is the default, and this user
// may not write there, it returns no Store, and a warning: they can be done without.
func OpenRecords(dir string, kinds ...link.Kind) (s *keep.Store, warnings []string, err error) {
	dir = RecordsDir(dir)
	s, err = keep.Open(dir, kinds...)
	if dir == keep.DefaultDir && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return nil, []string{fmt.Sprintf("nothing remembers this for after a restart: %v (--state-dir names another directory)", err)}, nil
	}
	return s, nil, err
}

// OpenExistingRecords opens the records for who only reads: where there is no directory,
// there are none, and none is made.
func OpenExistingRecords(dir string, kinds ...link.Kind) (*keep.Store, error) {
	s, err := keep.OpenExisting(RecordsDir(dir), kinds...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

// ReadSpec reads a Spec of these kinds of links from a file, or for - from standard input.
func ReadSpec(path string, kinds ...link.Kind) (pipework.Spec, error) {
	text, err := read(path)
	if err != nil {
		return pipework.Spec{}, err
	}
	s, err := config.ParseSpec(text, kinds...)
	if err != nil {
		return pipework.Spec{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// read reads the file, or of one that is longer than [config.ParseSpec] takes the beginning.
func read(path string) ([]byte, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
	}
	return io.ReadAll(io.LimitReader(file, config.SpecMax+1))
}
