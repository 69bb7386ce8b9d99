//go:build !linux

package watch

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

var errUnimplemented = fmt.Errorf("watch: %w", errors.ErrUnsupported)

type exits struct{}

type process struct{}

func newExits() (*exits, error)                          { return nil, errUnimplemented }
func (*exits) close()                                    {}
func (*exits) wait() (ended []ref, ok bool)              { return nil, false }
func (*exits) watch(*ns.Guest, ref) (*process, error)    { return nil, errUnimplemented }
func (*process) Open(context.Context) (*ns.Guest, error) { return nil, errUnimplemented }
func (*process) known() bool                             { return false }
func (*process) ended() bool                             { return false }
func (*process) close()                                  {}

type links struct {
	heard   func(string)
	changed func()
}

func newLinks(context.Context, *ns.Handle) (*links, error) { return nil, errUnimplemented }
func (*links) follow(context.Context, *queue, bool) error  { return errUnimplemented }
func (*links) close()                                      {}

type changes struct{ lack error }

func newChanges(*keep.Store) *changes                                { return &changes{errUnimplemented} }
func (*changes) follow(context.Context, func(context.Context)) error { return errUnimplemented }
