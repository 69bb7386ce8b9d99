//go:build !linux

package watch

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/go-pipework/pipework/ns"
)

var errUnimplemented = fmt.Errorf("watch: %w", errors.ErrUnsupported)

type deaths struct{}

type life struct{}

func newDeaths() (*deaths, error)                   { return nil, errUnimplemented }
func (*deaths) close()                              {}
func (*deaths) watch(*ns.Guest, ref) (*life, error) { return nil, errUnimplemented }
func (*life) over() bool                            { return false }
func (*life) close()                                {}
func (r *run) bury() error                          { return errUnimplemented }
func (r *run) sweeps() error                        { return errUnimplemented }
func (r *run) collectSoon()                         {}
func (r *run) collectNow(context.Context)           {}
func (r *run) changes() (*os.File, error)           { return nil, errUnimplemented }
func (r *run) followStore(*os.File) error           { return errUnimplemented }
func (r *run) collectRemoved()                      {}
func (r *run) buryPorts(*guest)                     {}
func (*life) heard() bool                           { return false }
