package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/ns"
)

// actions are those of the engine's events that matter, Podman's words among
// them.
var actions = map[events.Action]ns.Action{
	events.ActionStart:   ns.Started,
	events.ActionDie:     ns.Died,
	"died":               ns.Died,
	events.ActionDestroy: ns.Removed,
	"remove":             ns.Removed,
}

// Follow tells of containers that start, end and are removed; see [ns.Source]. It
// holds one connection, and two goroutines that end with it. Errors are those of
// [Engine.Container], and io.EOF when the engine ends.
func (e Engine) Follow(ctx context.Context, ready func(), event func(ns.Event)) error {
	s, err := newStream(e)
	if err != nil {
		return err
	}
	if _, err := s.client.Ping(ctx, client.PingOptions{}); err != nil {
		return s.inspectError(ctx, "events", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The engine answers before it listens to itself: what happens in between
	// comes from its memory of the last events.
	since := time.Now().Add(-time.Second)
	stream := s.client.Events(ctx, client.EventsListOptions{
		Since:   fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()),
		Filters: make(client.Filters).Add("type", string(events.ContainerEventType)),
	})
	ready()
	for {
		select {
		case m := <-stream.Messages:
			if action, known := actions[m.Action]; known {
				event(ns.Event{Action: action, ID: m.Actor.ID})
			}
		case err := <-stream.Err:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the events of the %s at %s broke off: %w", s.product, s.host, err)
		}
	}
}

// newStream is a session whose answers are read as they come, and end with the
// request's context.
func newStream(e Engine) (*session, error) {
	s, err := newSession(e)
	if err != nil {
		return nil, err
	}
	s.client, err = client.New(client.WithHost(s.host), client.WithAPIVersionFromEnv(),
		client.WithHTTPClient(&http.Client{Transport: stream{s}, CheckRedirect: client.CheckRedirect}))
	return s, err
}

// A stream is a session's transport for answers without end.
type stream struct{ *session }

func (s stream) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.URL.Path, "/events") {
		return s.session.RoundTrip(req)
	}
	conn, err := s.connect(req.Context())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(req.Context(), func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	done := sync.OnceFunc(func() { stop(); _ = conn.Close() })
	resp, err := begin(conn, req)
	if err != nil {
		done()
		return nil, err
	}
	resp.Body = body{resp.Body, done}
	return resp, nil
}

func begin(conn net.Conn, req *http.Request) (*http.Response, error) {
	once := req.Clone(req.Context())
	once.Close = true
	if err := once.Write(conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), req)
}

// A body closes its connection.
type body struct {
	io.Reader
	done func()
}

func (b body) Close() error {
	b.done()
	return nil
}

// Running lists the containers that run; see [ns.Source]. Errors are those of
// [Engine.Container].
func (e Engine) Running(ctx context.Context) ([]string, error) {
	s, err := newSession(e)
	if err != nil {
		return nil, err
	}
	all, err := s.client.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return nil, s.inspectError(ctx, "list", err)
	}
	ids := make([]string, 0, len(all.Items))
	for _, c := range all.Items {
		ids = append(ids, c.ID)
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
	s, err := newSession(e)
	if err != nil {
		return nil, err
	}
	c, err := s.inspect(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := &ns.Container{ID: c.ID, Name: label(c)}
	if c.Config == nil {
		return out, nil
	}
	out.Hostname, out.Labels, out.Env = c.Config.Hostname, c.Config.Labels, c.Config.Env
	return out, s.describeImage(ctx, c, out)
}

// describeImage fills in what the image declares. It is asked for only where it
// can matter.
func (s *session) describeImage(ctx context.Context, c *container.InspectResponse, out *ns.Container) error {
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
	out.ImageKnown, out.ImageLabels, out.ImageEnv = true, known.labels, known.env
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

// An imageConfig is what an image says that its containers have.
type imageConfig struct {
	labels map[string]string
	env    []string
}

func (s *session) image(ctx context.Context, id string) (*imageConfig, error) {
	if err := fault.Step(ctx, "inspect image"); err != nil {
		return nil, err
	}
	res, err := s.client.ImageInspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil, errs.New(fs.ErrNotExist, "no image %q", id)
	}
	if err != nil {
		return nil, s.inspectError(ctx, id, err)
	}
	if res.Config == nil {
		return &imageConfig{}, nil
	}
	return &imageConfig{res.Config.Labels, res.Config.Env}, nil
}
