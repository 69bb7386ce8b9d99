package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// inspect asks for one container by a name that reference approved.
func (s *session) inspect(ctx context.Context, ref string) (*container, error) {
	if err := fault.Step(ctx, "inspect container"); err != nil {
		return nil, err
	}
	c := new(container)
	if err := s.get(ctx, "/containers/"+ref+"/json", nil, c); err != nil {
		return nil, s.inspectError(ctx, ref, err)
	}
	if c.State == nil || c.ID == "" {
		return nil, fmt.Errorf("inspect container %s: the answer describes none: is a %s at %s?", ref, s.product, s.host)
	}
	return c, nil
}

func (s *session) inspectError(ctx context.Context, ref string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the %s at %s does not answer: %w", s.product, s.host, context.Cause(ctx))
	case s.refused != nil:
		return s.refused
	case errors.As(err, new(brokenError)):
		return errs.New(unix.ECONNREFUSED, "the %s at %s broke off: %s", s.product, s.host, oneLine(err))
	case isNotFound(err):
		return errs.Unknown("no container %q: see %s ps -a", ref, s.program)
	}
	if many := s.begunBy(ctx, ref); len(many) > 1 {
		return errs.New(fs.ErrInvalid, "%q begins the IDs of %d containers (%s): give more of the ID, or a name", ref, len(many), strings.Join(many, ", "))
	}
	return errs.New(err, "inspect container %s at %s: %s", ref, s.host, oneLine(err))
}

// beginsID says whether an ID can begin so.
func beginsID(s string) bool {
	notHex := func(r rune) bool { return r > 'f' || !charset.Hex(byte(r)) }
	return s != "" && len(s) <= idLength && !strings.ContainsFunc(s, notHex)
}

// begunBy lists the containers whose IDs begin so. Engines report an ambiguous
// ID as a failure of their own, each in its own words, and Docker 20.10 finds
// none when asked for those only.
func (s *session) begunBy(ctx context.Context, prefix string) []string {
	if !beginsID(prefix) {
		return nil
	}
	var found []string
	err := s.each(ctx, url.Values{"all": {"1"}}, func(c summary) error {
		if strings.HasPrefix(c.ID, prefix) && len(found) < begunMost {
			found = append(found, title(c))
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return found
}

// begunMost is how many containers are named that an ID may mean.
const begunMost = 10

func title(c summary) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return strings.TrimPrefix(c.Names[0], "/")
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
