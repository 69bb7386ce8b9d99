package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/plugin"
)

// RecordsDir is the directory of --state-dir, or the one that the variable PIPEWORK_STATE
// names, or else the default.
func (o *Options) RecordsDir() string { return plugin.RecordsDir(o.State) }

// OpenRecords opens the records in RecordsDir. Where that is the default, and this user
// may not write there, it returns no Store, and a warning: they can be done without. For a
// dry run it makes none.
func (o *Options) OpenRecords(kinds ...link.Kind) (s *keep.Store, warnings []string, err error) {
	if o.DryRun {
		s, err = o.OpenExistingRecords(kinds...)
		return s, nil, err
	}
	dir := o.RecordsDir()
	s, err = keep.Open(dir, kinds...)
	if dir == keep.DefaultDir && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return nil, []string{fmt.Sprintf("nothing remembers this for after a restart: %v (--state-dir names another directory)", err)}, nil
	}
	return s, nil, err
}

// OpenRecordsIfWritable opens the records for who can do without: where the directory cannot
// be made there are none, with a warning.
func (o *Options) OpenRecordsIfWritable(kinds ...link.Kind) (*keep.Store, error) {
	s, warnings, err := o.OpenRecords(kinds...)
	if errs.IsUnwritable(err) {
		warnings, err = []string{fmt.Sprintf("nothing is recorded: %v", err)}, nil
	}
	o.Warn(warnings...)
	return s, err
}

// OpenExistingRecords opens the records for who only reads: where there is no directory,
// there are none, and none is made.
func (o *Options) OpenExistingRecords(kinds ...link.Kind) (*keep.Store, error) {
	s, err := keep.OpenExisting(o.RecordsDir(), kinds...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

// ReadSpec reads the Spec of --spec, whose link is of one of these kinds. The words beside
// it are the guest alone.
func (o *Options) ReadSpec(words []string, kinds ...link.Kind) (s pipework.Spec, err error) {
	if err := errs.Join(Count(words, 1, 1, "--spec FILE <guest>"), o.Line.Empty()); err != nil {
		return s, err
	}
	text, err := read(o.Spec)
	if err != nil {
		return s, err
	}
	if s, err = config.ParseSpec(text, kinds...); err != nil {
		return s, fmt.Errorf("%s: %w", o.Spec, err)
	}
	if s.Link == nil {
		return s, fmt.Errorf("%s: spec: link is missing: write what to plug into, such as link: {bridge: {name: br1}}", o.Spec)
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
