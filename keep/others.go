//go:build !linux

package keep

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework/link"
)

type dirHandle struct{ dir string }

var errUnimplemented = fmt.Errorf("state: %w", errors.ErrUnsupported)

func open(string, []link.Kind) (*Store, error)             { return nil, errUnimplemented }
func openExisting(string, []link.Kind) (*Store, error)     { return nil, errUnimplemented }
func (s *Store) put(Record) error                          { return errUnimplemented }
func (s *Store) get(key) (*Record, error)                  { return nil, errUnimplemented }
func (s *Store) delete(key) error                          { return errUnimplemented }
func (s *Store) all() ([]Record, []error, error)           { return nil, nil, errUnimplemented }
func (s *Store) lock(context.Context, key) (func(), error) { return nil, errUnimplemented }
func (s *Store) close() error                              { return nil }
func (d *dirHandle) sweep() error                          { return errUnimplemented }
