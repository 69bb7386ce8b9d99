//go:build linux

package watch_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// A runtime is a Source whose containers are real processes in namespaces of their
// own, and whose stream of events a test can break.
type runtime struct {
	t          *testing.T
	mu         sync.Mutex
	containers map[string]*container
	events     chan ns.Event
	broken     chan struct{}
	kind       ns.Kind
	away       atomic.Bool // it answers nothing
	asked      atomic.Int64
}

type container struct {
	ns.Container
	process *sandbox.Process // nil: it does not run
}

func newRuntime(t *testing.T) *runtime {
	return &runtime{t: t, containers: map[string]*container{}, events: make(chan ns.Event, 100), broken: make(chan struct{}), kind: "docker"}
}

func (r *runtime) String() string { return "test" }

func (r *runtime) Kind() ns.Kind { return r.kind }

// create makes a container with these labels.
func (r *runtime) create(name string, labels map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers[id(name)] = &container{Container: ns.Container{ID: id(name), Name: name, Labels: labels, ImageKnown: true}}
}

// run makes and starts a container.
func (r *runtime) run(name string, labels map[string]string) {
	r.t.Helper()
	r.create(name, labels)
	r.start(name)
}

// begin starts a container without telling.
func (r *runtime) begin(name string) {
	r.t.Helper()
	p := nstest.Process(r.t)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers[id(name)].process = p
}

func (r *runtime) start(name string) {
	r.t.Helper()
	r.begin(name)
	r.events <- ns.Event{Action: ns.Started, ID: id(name)}
}

func (r *runtime) kill(name string) {
	r.t.Helper()
	r.mu.Lock()
	c := r.containers[id(name)]
	p := c.process
	c.process = nil
	r.mu.Unlock()
	if err := p.Kill(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *runtime) restart(name string) {
	r.t.Helper()
	r.kill(name)
	r.events <- ns.Event{Action: ns.Died, ID: id(name)}
	r.start(name)
}

func (r *runtime) remove(name string) {
	r.t.Helper()
	r.kill(name)
	r.mu.Lock()
	delete(r.containers, id(name))
	r.mu.Unlock()
	r.events <- ns.Event{Action: ns.Removed, ID: id(name)}
}

// cut breaks the stream of events.
func (r *runtime) cut() { r.broken <- struct{}{} }

func (r *runtime) Follow(ctx context.Context, ready func(), event func(ns.Event)) error {
	ready()
	for {
		select {
		case e := <-r.events:
			event(e)
		case <-r.broken:
			return errors.New("broken by the test")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *runtime) Running(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for id, c := range r.containers {
		if c.process != nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (r *runtime) Describe(_ context.Context, id string) (*ns.Container, error) {
	r.asked.Add(1)
	if r.away.Load() {
		return nil, errs.New(unix.ECONNREFUSED, "no engine is there")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		if c.ID == id || c.Name == id {
			now := c.Container
			return &now, nil
		}
	}
	return nil, errs.New(fs.ErrNotExist, "no container %q", id)
}

// rename gives a container another name.
func (r *runtime) rename(from, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers[id(from)].Name = to
}

// plugger is what a command line works with, as far as it means containers of r.
func (r *runtime) plugger(s *keep.Store) keep.Plugger {
	return keep.Plugger{Store: s, Target: func(ref ns.Ref) pipework.Target { return r.Container(id(ref.Name)) }}
}

func (r *runtime) Container(name string) ns.Target { return target{r, name} }

type target struct {
	r  *runtime
	id string
}

func (t target) Open(ctx context.Context) (*ns.Guest, error) {
	t.r.asked.Add(1)
	t.r.mu.Lock()
	c := t.r.containers[t.id]
	if c == nil {
		c = t.r.containers[id(t.id)] // by its name
	}
	if c == nil || c.process == nil {
		t.r.mu.Unlock()
		return nil, errs.New(fs.ErrNotExist, "container %q does not run", t.id)
	}
	pid := c.process.PID
	t.r.mu.Unlock()
	g, err := ns.PID(pid).Open(ctx)
	if err == nil {
		g.Name, g.ID = c.Name, c.ID
	}
	return g, err
}

// A watcher is a Watcher at work, and what it says.
type watcher struct {
	*watch.Watcher
	t     *testing.T
	said  *lines
	ended chan error
	stop  context.CancelFunc
}

// runWatcher starts a Watcher, for the length of the test.
func runWatcher(t *testing.T, w *watch.Watcher) *watcher {
	t.Helper()
	out := &watcher{Watcher: w, t: t, said: &lines{}, ended: make(chan error, 1)}
	w.Log = slog.New(slog.NewTextHandler(out.said, nil))
	w.Machine = "this machine"
	leaks := goleak.IgnoreCurrent()
	var ctx context.Context
	ctx, out.stop = context.WithCancel(context.Background())
	go func() { out.ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		out.end()
		goleak.VerifyNone(t, leaks)
		if t.Failed() {
			t.Log("\n" + out.said.String())
		}
	})
	return out
}

// end ends it, as an interrupt does, once.
func (w *watcher) end() {
	w.stop()
	err := testwait.Receive(w.t, "Run ends", w.ended)
	if !errors.Is(err, context.Canceled) {
		w.t.Error("Run:", err)
	}
	w.ended <- err
}

// compares waits until guests were compared with what is declared once more, from the
// beginning; there is only one guest, or it does not matter which.
func (w *watcher) compares() {
	w.t.Helper()
	compared := func() int {
		n, _ := strconv.Atoi(w.metrics()["compared_total"])
		return n
	}
	before := compared()
	testwait.Eventually(w.t, "it is compared again", func() bool { return compared() >= before+2 }) // one was at work, perhaps
}

// metrics are the counters by their names.
func (w *watcher) metrics() map[string]string {
	w.t.Helper()
	var text strings.Builder
	if err := w.WriteMetrics(&text); err != nil {
		w.t.Fatal(err)
	}
	found := map[string]string{}
	for s := bufio.NewScanner(strings.NewReader(text.String())); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), " "); ok && name != "#" {
			found[strings.TrimPrefix(name, "pipework_")] = value
		}
	}
	return found
}
