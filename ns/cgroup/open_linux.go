package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

// Open finds the group and holds the namespace of its first process open.
func (g Group) Open(ctx context.Context) (*ns.Guest, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	if err := fault.Step(ctx, "search control groups"); err != nil {
		return nil, err
	}
	tops, err := mounts()
	if err != nil {
		return nil, err
	}
	s := search{name: string(g)}
	for _, top := range tops {
		s.below(ctx, top)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if len(s.found) == 0 {
		return nil, errs.Unknown("no control group is named %q", s.name)
	}
	return s.open(ctx)
}

// open opens what was found, which must be one guest: the same group is found in
// every hierarchy.
func (s *search) open(ctx context.Context) (guest *ns.Guest, err error) {
	var where []string
	for _, dir := range s.found {
		g, err := process.Open(ctx, func(context.Context) (ns.Identity, error) {
			pid, err := oldest(dir)
			return ns.Identity{Name: s.name, PID: pid}, err
		})
		if err != nil && errors.Is(err, fs.ErrNotExist) {
			continue // an empty group
		}
		if err == nil && guest != nil && guest.Inode() == g.Inode() {
			_ = g.Close()
			continue
		}
		if guest != nil {
			_ = guest.Close()
		}
		if err != nil {
			return nil, err
		}
		guest, where = g, append(where, dir)
	}
	if len(where) > 1 {
		_ = guest.Close()
		return nil, errs.New(fs.ErrInvalid, "several guests have a control group named %q (%s): give the PID of one, as in pid:1234", s.name, strings.Join(where, ", "))
	}
	if guest == nil {
		return nil, errs.New(fs.ErrNotExist, "the control group %s has no process", s.found[0])
	}
	return guest, nil
}
