package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os/user"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/ns"
)

// actions are those of the engine's events that matter, Podman's words among
// them.
var actions = map[string]ns.Action{
	"start":   ns.Started,
	"die":     ns.Died,
	"died":    ns.Died,
	"destroy": ns.Removed,
	"remove":  ns.Removed,
}

// Follow tells of containers that start, end and are removed; see [ns.Source]. It
// holds one connection. Errors are those of [Engine.Container], and io.EOF when the
// engine ends.
func (e Engine) Follow(ctx context.Context, ready func(), event func(ns.Event)) error {
	s, err := newSession(ctx, e)
	if err != nil {
		return err
	}
	if err := s.negotiate(ctx); err != nil {
		return s.inspectError(ctx, "events", err)
	}
	// The engine answers before it listens to itself: what happens in between
	// comes from its memory of the last events.
	since := time.Now().Add(-time.Second)
	resp, err := s.ask(ctx, "/events", url.Values{
		"since":   {fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())},
		"filters": {`{"type":{"container":true}}`},
	})
	if err != nil {
		return s.inspectError(ctx, "events", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return s.inspectError(ctx, "events", statusError{resp.StatusCode, resp.Status})
	}
	ready()
	err = readEvents(resp.Body, event)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the events of the %s at %s broke off: %w", s.product, s.host, err)
}

// messageMax bounds one event, in bytes.
const messageMax = 1 << 20

// readEvents tells of each event until the stream ends.
func readEvents(r io.Reader, event func(ns.Event)) error {
	bounded := &io.LimitedReader{R: r}
	dec := json.NewDecoder(bounded)
	for {
		bounded.N = messageMax // beyond what is read ahead
		var m message
		err := dec.Decode(&m)
		switch {
		case err != nil && bounded.N == 0:
			return fmt.Errorf("an event of more than %d bytes", messageMax)
		case err != nil:
			return err
		}
		if action, known := actions[m.Action]; known {
			event(ns.Event{Action: action, ID: m.Actor.ID})
		}
	}
}

// runningMost is more than one engine can run.
const runningMost = 1 << 16

// Running lists the containers that run; see [ns.Source]. Errors are those of
// [Engine.Container].
func (e Engine) Running(ctx context.Context) ([]string, error) {
	s, err := newSession(ctx, e)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	err = s.each(ctx, nil, func(c summary) error {
		if len(ids) == runningMost || len(c.ID) > idLength {
			return fmt.Errorf("more than %d containers, or an ID of more than %d digits", runningMost, idLength)
		}
		ids = append(ids, c.ID)
		return nil
	})
	if err != nil {
		return nil, s.inspectError(ctx, "list", err)
	}
	return ids, nil
}

// Describe asks what a container was made with, by its ID or name; see [ns.Source]. Errors are
// those of [Engine.Container].
func (e Engine) Describe(ctx context.Context, id string) (*ns.Container, error) {
	ref, err := reference(id)
	if err != nil {
		return nil, err
	}
	s, err := newSession(ctx, e)
	if err != nil {
		return nil, err
	}
	c, err := s.inspect(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := &ns.Container{ID: c.ID, Name: label(c), User: owner(s.path)}
	if c.Config == nil {
		return out, nil
	}
	out.Hostname, out.Labels, out.Env = c.Config.Hostname, c.Config.Labels, c.Config.Env
	out.Image = c.Config.Image
	return out, s.describeImage(ctx, c, out)
}

// owner is the user whose socket this is, or the number; "" is root, or not known.
func owner(socket string) string {
	var st unix.Stat_t
	if unix.Stat(socket, &st) != nil || st.Uid == 0 {
		return ""
	}
	uid := strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// describeImage fills in what the image declares. It is asked for only where it
// can matter.
func (s *session) describeImage(ctx context.Context, c *container, out *ns.Container) error {
	if !declares(out) {
		out.ImageKnown = true
		return nil
	}
	known, err := s.image(ctx, c.Image)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	out.ImageKnown, out.ImageLabels, out.ImageEnv = true, known.Labels, known.Env
	return nil
}

// declares says whether anything that the container has is addressed to pipework.
func declares(c *ns.Container) bool {
	for label := range c.Labels {
		if strings.HasPrefix(label, "pipework") {
			return true
		}
	}
	for _, v := range c.Env {
		if name, _, _ := strings.Cut(v, "="); strings.Contains(name, "pipework") {
			return true
		}
	}
	return false
}

// image is what an image says that its containers have.
func (s *session) image(ctx context.Context, id string) (*config, error) {
	if err := fault.Step(ctx, "inspect image"); err != nil {
		return nil, err
	}
	var i image
	err := s.get(ctx, "/images/"+id+"/json", nil, &i)
	switch {
	case isNotFound(err):
		return nil, errs.New(fs.ErrNotExist, "no image %q", id)
	case err != nil:
		return nil, s.inspectError(ctx, id, err)
	case i.Config == nil:
		return new(config), nil
	}
	return i.Config, nil
}
