package docker_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

// follower hears events until the test ends.
type follower struct {
	events chan ns.Event
	ended  chan error
	stop   context.CancelFunc
}

func follow(t *testing.T, e docker.Engine) *follower {
	t.Helper()
	f := &follower{events: make(chan ns.Event, 100), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	ready := make(chan struct{})
	go func() { f.ended <- e.Follow(ctx, func() { close(ready) }, func(ev ns.Event) { f.events <- ev }) }()
	select {
	case <-ready:
	case err := <-f.ended:
		t.Fatal(err)
	}
	return f
}

// next is what is told next.
func (f *follower) next(t *testing.T) ns.Event {
	t.Helper()
	select {
	case ev := <-f.events:
		return ev
	case err := <-f.ended:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
	}
	return ns.Event{}
}

func TestFollow(t *testing.T) {
	e := dockertest.Start(t, dockertest.Options{})
	e.Image(t)
	engine := docker.Engine{Host: e.Sock()}
	leaks := goleak.IgnoreCurrent()
	f := follow(t, engine)
	web := e.Run(t, dockertest.Container{Name: "web", Network: "none"})
	e.Restart(t, "web")
	e.Exec(t, "web", "true") // which nobody wants to hear of
	if running, err := engine.Running(t.Context()); err != nil || !slices.Equal(running, []string{web}) {
		t.Errorf("running: %q, %v", running, err)
	}
	e.Remove(t, "web")
	var got []ns.Action
	for range 5 {
		ev := f.next(t)
		if got = append(got, ev.Action); ev.ID != web {
			t.Errorf("%+v is of another container", ev)
		}
	}
	if diff := cmp.Diff([]ns.Action{ns.Started, ns.Died, ns.Started, ns.Died, ns.Removed}, got); diff != "" {
		t.Error(diff)
	}
	f.stop()
	if err := <-f.ended; !errors.Is(err, context.Canceled) {
		t.Error("after it was stopped:", err)
	}
	f = follow(t, engine)
	e.Crash(t)
	if err := <-f.ended; err == nil || errors.Is(err, context.Canceled) {
		t.Error("after the engine has ended:", err)
	}
	if err := engine.Follow(t.Context(), func() { t.Error("ready") }, nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("without an engine:", err)
	}
	goleak.VerifyNone(t, leaks)
}

// TestDescribe tells what a container was given from what its image has.
func TestDescribe(t *testing.T) {
	e := dockertest.Start(t, dockertest.Options{})
	engine := docker.Engine{Host: e.Sock()}
	e.Create(t, dockertest.Container{Name: "base"})
	_, err := e.Client().ContainerCommit(t.Context(), "base", client.ContainerCommitOptions{
		Reference: "image-that-asks", Changes: []string{"LABEL pipework.eth1='br1 0/0'", "LABEL other=1", "ENV pipework_cmd='br1 x 0/0'"},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := e.Run(t, dockertest.Container{
		Name: "web", Image: "image-that-asks", Network: "none", Labels: map[string]string{"pipework.eth2": "br2 0/0", "other": "2"}, Env: []string{"A=1"},
	})
	got, err := engine.Describe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "web" || got.Image != "image-that-asks" || got.User != "" || got.ID != id || got.Hostname != id[:12] || !got.ImageKnown {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(map[string]string{"pipework.eth1": "br1 0/0", "pipework.eth2": "br2 0/0", "other": "2"}, got.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"pipework.eth1": "br1 0/0", "other": "1"}, got.ImageLabels); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(got.Env, "A=1") || slices.Contains(got.ImageEnv, "A=1") || !slices.Contains(got.ImageEnv, "pipework_cmd=br1 x 0/0") {
		t.Errorf("variables %q, the image's %q", got.Env, got.ImageEnv)
	}

	if _, err := e.Client().ImageRemove(t.Context(), "image-that-asks", client.ImageRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := engine.Describe(t.Context(), id); err != nil || !got.ImageKnown && got.ImageLabels != nil {
		t.Errorf("without its image: %+v, %v", got, err)
	}
	if _, err := engine.Describe(t.Context(), "nosuch"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := engine.Describe(t.Context(), "../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}
