//go:build !linux

package keep

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

type dirHandle struct{ dir string }

var errUnimplemented = fmt.Errorf("state: %w", errors.ErrUnsupported)

func open(string, []link.Kind) (*Store, error)              { return nil, errUnimplemented }
func openExisting(string, []link.Kind) (*Store, error)      { return nil, errUnimplemented }
func (s *Store) put(Record) error                           { return errUnimplemented }
func (s *Store) get(key) (*Record, error)                   { return nil, errUnimplemented }
func (s *Store) delete(key) error                           { return errUnimplemented }
func (s *Store) all() ([]Record, []error, error)            { return nil, nil, errUnimplemented }
func (s *Store) scan(func(string, error)) ([]Record, error) { return nil, errUnimplemented }
func (s *Store) lock(context.Context, key) (func(), error)  { return nil, errUnimplemented }
func (s *Store) close() error                               { return nil }
func (d *dirHandle) sweep() error                           { return errUnimplemented }
func (d *dirHandle) putFile(string, []byte) error           { return errUnimplemented }
func (d *dirHandle) deleteFile(string) error                { return errUnimplemented }
func (d *dirHandle) note(string) ([]byte, error)            { return nil, errUnimplemented }
func (d *dirHandle) names() ([]string, error)               { return nil, errUnimplemented }

type former struct{}

func (p *Plugger) former(*Record, ns.Inode) *former         { return nil }
func (f *former) detach(context.Context) (bool, error)      { return false, nil }
func (c *collection) former(context.Context, *Record) error { return nil }

func (p *Plugger) removeUnmarked(context.Context, pipework.Target, *Record) error {
	return nil
}

// DetachFormer needs Linux.
func (p *Plugger) DetachFormer(context.Context, *ns.Guest, ns.Ref, string) (found bool, err error) {
	return false, errUnimplemented
}
