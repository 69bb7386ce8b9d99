package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

// Open finds the container and holds its network namespace open; see
// [Engine.Container] for the errors and privileges.
func (c Container) Open(ctx context.Context) (*ns.Guest, error) {
	return Engine{}.Container(string(c)).Open(ctx)
}

func (t target) Open(ctx context.Context) (*ns.Guest, error) {
	ref, err := reference(t.name)
	if err != nil {
		return nil, err
	}
	s, err := newSession(ctx, t.engine)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, ref)
}

// maxTries bounds how often a container is looked up that changes its process
// just then; the pauses between add up to 150 ms.
const maxTries = 5

// open looks the container up and opens it, and repeats that while it changes meanwhile.
func (s *session) open(ctx context.Context, ref string) (*ns.Guest, error) {
	wait := 10 * time.Millisecond
	for try := 1; ; try++ {
		c, err := s.inspect(ctx, ref)
		if err != nil {
			return nil, err
		}
		g, err := s.guest(ctx, c)
		if try == maxTries || !errors.As(err, new(movedError)) {
			return g, err
		}
		if err := pause.For(ctx, wait); err != nil {
			return nil, fmt.Errorf("container %s keeps changing: %w", label(c), err)
		}
		wait *= 2
	}
}

// A movedError says that the process the engine named is not, or no longer,
// the container's: worth another look.
type movedError struct{ error }

func (e movedError) Unwrap() error { return e.error }

func (s *session) moved(c *container) error {
	return movedError{errs.New(fs.ErrNotExist, "container %s has no process that stays: see %s logs %s", label(c), s.program, label(c))}
}

// guest opens the process that c names, makes sure that it is the container's
// and says who it is.
func (s *session) guest(ctx context.Context, c *container) (*ns.Guest, error) {
	if err := s.standstill(c); err != nil {
		return nil, err
	}
	g, err := s.process(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.prove(ctx, g, c); err != nil {
		_ = g.Close()
		return nil, err
	}
	if g.Identity, err = s.identity(ctx, c); err != nil {
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// process opens the process that c names. In another PID namespace the number
// is nobody's, or that of a process we may not open.
func (s *session) process(ctx context.Context, c *container) (*ns.Guest, error) {
	g, err := ns.PID(c.State.Pid).Open(ctx)
	gone, denied := errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission)
	if err == nil {
		return g, nil
	}
	if gone || denied {
		elsewhere := s.sharesPIDs(c)
		switch {
		case errors.Is(elsewhere, errors.ErrUnsupported), gone && elsewhere != nil:
			return nil, elsewhere
		case gone:
			return nil, s.moved(c)
		}
	}
	return nil, fmt.Errorf("container %s: %w", label(c), err)
}

func (s *session) identity(ctx context.Context, c *container) (ns.Identity, error) {
	id := ns.Identity{Name: label(c), ID: c.ID, PID: c.State.Pid}
	if c.HostConfig == nil {
		return id, nil
	}
	joined, joins := strings.CutPrefix(c.HostConfig.NetworkMode, "container:")
	if !joins {
		return id, nil
	}
	var err error
	id.NetworkOf, err = s.networkOf(ctx, joined)
	return id, err
}

// networkOf returns the name of the container whose network another one joined,
// or what the engine calls it where it is gone.
func (s *session) networkOf(ctx context.Context, joined string) (string, error) {
	ref, err := reference(joined)
	if err != nil {
		return joined, nil
	}
	c, err := s.inspect(ctx, ref)
	if errors.Is(err, fs.ErrNotExist) {
		return ref, nil
	}
	if err != nil {
		return "", err
	}
	return label(c), nil
}
